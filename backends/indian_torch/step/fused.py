r"""The fused implementation: the whole step as one call of PyTorch's own fused SGD kernel.

The kernel makes one pass over memory. `indian_core.one_call` derives its scalars. They fit because
the buffer holds the momentum times a scale. Some steps have no such call (αγ = 1, γ = 0, d = 1, …).
Another implementation makes those, with the same buffer and scale.

The kernel is private to PyTorch and does not check its arguments. So it is tested once per device
and dtype, and it gets only tensors that it handles correctly, which `indian_torch.step.layout`
selects.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from indian_core import Coefficients, NesterovSGD, as_nesterov_sgd, constant_call
from indian_torch import _private
from indian_torch.step import pieces
from indian_torch.step.settings import Settings
from indian_torch.step.tensors import Tensors

# Where the kernel is the default. In float64 its `1 - dampening` may lose up to three digits, and
# users of float64 want all of them. MPS and XPU were never tested.
_AUTOMATIC_DEVICES = ("cpu", "cuda")
_AUTOMATIC_DTYPES = (torch.float32,)
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


def call_of(bucket: Tensors, settings: Settings) -> NesterovSGD | None:
    """Return the kernel's call for a bucket of a group's tensors, or None."""
    kind = bucket.kind
    assert kind is not None
    automatic = (
        settings.automatic
        and kind.device.type in _AUTOMATIC_DEVICES
        and kind.dtype in _AUTOMATIC_DTYPES
    )
    if (
        not (settings.fused or automatic)
        or settings.pull is not None
        or not (kind.fits_kernel and settings.on_host and _private.has_foreach)
        or not kernel_works(kind.device, kind.dtype)
        or (settings.sigma is not None and not pieces.kernel_works(kind.device, kind.dtype))
    ):
        return None
    if not settings.keeps_momentum:
        return NesterovSGD(-settings.linear.theta_gradient, 0.0, 0.0, False, 1.0, 1.0)
    scale = bucket.scale(settings)
    if settings.buffer_scale is not None:
        return constant_call(settings.linear, scale)
    if settings.lr == 0:
        return None
    fresh = scale == 0
    call = _moving_call(settings.first if fresh else settings.linear, scale, kind.dtype)
    # The CUDA kernel refuses a negative momentum (αγ > 1).
    return call if call is not None and call.momentum > 0 else None


@functools.lru_cache(maxsize=64)  # At constant γ every step makes the same call.
def _moving_call(linear: Coefficients, scale: float, dtype: torch.dtype) -> NesterovSGD | None:
    return as_nesterov_sgd(linear, scale or 1.0, scale == 0, dtype=_NUMPY[dtype])


def fused_step(bucket: Tensors, settings: Settings, call: NesterovSGD) -> None:
    """Make an eager step of a bucket of a group's tensors by this call."""
    params, buffers = bucket.params, bucket.momentum_buffers or []
    if bucket.exp_avg_sqs is None:
        _before(params, buffers, settings, call)
        kernel(params, bucket.grads, buffers, call, settings.l2 or 0.0)
        raise_versions([*params, *buffers])
        bucket.keep_scale(call.scale)
        return
    assert bucket.counts is not None
    assert settings.sigma is not None
    count = torch.full((), bucket.counts[0], dtype=torch.float32, device=params[0].device)
    for piece in pieces.pieces(bucket):
        u = pieces.scaled(piece, count, settings.sigma, settings.eps)
        _before(piece.params, piece.momentum_buffers, settings, call)
        kernel(piece.params, u, piece.momentum_buffers, call)
    raise_versions([*params, *buffers, *bucket.exp_avg_sqs])
    bucket.keep_scale(call.scale)


def _before(
    params: list[Tensor], buffers: list[Tensor], settings: Settings, call: NesterovSGD
) -> None:
    """Do what comes before the kernel: weight decay, and a buffer's change of sign or scale."""
    if settings.shrinkage is not None:
        # As a tensor, because on the CPU a number would become one for each parameter.
        kept: Any = 1 - settings.shrinkage
        first = params[0]
        torch._foreach_mul_(params, torch.full((), kept, dtype=first.dtype, device=first.device))
    if call.factor != 1:
        torch._foreach_mul_(buffers, call.factor)


def raise_versions(tensors: Sequence[Tensor]) -> None:
    """Tell autograd that tensors were written to, since a graph may hold them.

    The kernel does not tell it. Nor does a write to a shard tell it about the whole tensor.
    """
    try:
        torch.autograd.graph.increment_version(tensors)
    except RuntimeError:  # Tensors made in inference mode have no version.
        torch.autograd.graph.increment_version([t for t in tensors if not t.is_inference()])


def kernel(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    call: NesterovSGD,
    l2: Any = 0.0,
) -> None:
    """Make this call of the SGD kernel."""
    _private.fused_sgd(
        params,
        grads,
        buffers,
        weight_decay=l2,
        momentum=call.momentum,
        lr=call.lr,
        dampening=call.dampening,
        nesterov=call.nesterov,
        # Not the kernel's own options, because the buffer then differs between CUDA and the CPU.
        maximize=False,
        is_first_step=False,
    )


@functools.cache
def kernel_works(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether PyTorch has the kernel here, and whether it computes what we expect."""
    numbers = torch.linspace(-1.0, 2.0, 3 * 19, dtype=torch.float64, device="cpu").reshape(3, 19)
    theta, gradient, momentum = numbers.to(device, dtype)
    expected: Any = None
    for coefficients in (
        Coefficients(-0.25, -0.75, 0.5, 0.25),  # Nesterov's
        Coefficients(-0.25, -0.125, 0.5, 0.25),  # the heavy ball's
    ):
        call = as_nesterov_sgd(coefficients, 1.0)
        if call is None:
            return False
        param, buffer = theta.clone(), momentum.clone()
        try:
            kernel([param], [gradient], [buffer], call)
        except (AttributeError, TypeError, NotImplementedError, RuntimeError):
            return False
        a, b, c, d = coefficients
        expected = theta + a * momentum + b * gradient
        if not torch.allclose(param, expected, rtol=1e-5, atol=1e-5):
            return False
        if not torch.allclose(buffer / call.scale, c * momentum + d * gradient, atol=1e-5):
            return False
    return True
