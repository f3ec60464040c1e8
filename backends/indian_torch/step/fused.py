r"""The fused implementation: the whole step as one call of PyTorch's own fused SGD kernel.

The kernel makes one pass over memory. `indian_core.as_nesterov_sgd` derives its scalars. They fit
because the buffer holds w times a scale that may change. Some steps have no such call (αγ = 1,
γ = 0, …). Another implementation makes those, with the same buffer and scale.

The kernel is private to PyTorch and does not check its arguments. So it is tested once per device
and dtype, and it gets only tensors that it handles correctly, which `indian_torch.tensors` selects.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from indian_core import Coefficients, NesterovSGD, as_nesterov_sgd
from indian_torch import _private
from indian_torch.step import pieces
from indian_torch.step.part import Part
from indian_torch.step.scalars import Step

# Where the kernel is the default. In float64 its `1 - dampening` may lose up to three digits, and
# users of float64 want all of them. MPS and XPU were never tested.
_AUTOMATIC_DEVICES = ("cpu", "cuda")
_AUTOMATIC_DTYPES = (torch.float32,)
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}

# The indices of the parameters, and the SGD call. None means AdamW's kernel alone, without
# momentum.
Call = tuple[Sequence[int], NesterovSGD | None]


def fused_calls(part: Part) -> list[Call]:
    """Return the calls of the kernels that make the step, each with the indices of its parameters.

    They cover only parameters that the layout marks as supported by the kernels.
    """
    assert part.layout is not None
    step, scaled = part.step, part.counts is not None
    keys = part.scales if part.counts is None else list(zip(part.scales, part.counts, strict=True))
    calls: list[Call] = []
    for (device, dtype), indices in part.layout.fused.items():
        if step.automatic and not (
            device.type in _AUTOMATIC_DEVICES and dtype in _AUTOMATIC_DTYPES
        ):
            continue
        if not _kernel_works(device, dtype) or (scaled and not pieces.kernel_works(device, dtype)):
            continue
        by_key: dict[Any, Sequence[int]]
        if len(set(keys)) == 1:
            by_key = {keys[0]: indices}
        else:
            lists = defaultdict(list)
            for i in indices:
                lists[keys[i]].append(i)
            by_key = dict(lists)
        for key, some in by_key.items():
            scale = key[0] if scaled else key
            if scaled and scale == 0 and not step.has_momentum:
                calls.append((some, None))
                continue
            call = _call(step, scale, dtype)
            # The CUDA kernel refuses a negative momentum (αγ > 1).
            if call is not None and call.momentum > 0:
                calls.append((some, call))
    return calls


@functools.lru_cache(maxsize=64)  # At constant γ every step makes the same call.
def _call(step: Step, scale: float, dtype: torch.dtype) -> NesterovSGD | None:
    fresh = scale == 0
    return as_nesterov_sgd(step.on_momentum(fresh), scale or 1.0, fresh, dtype=_NUMPY[dtype])


def make_fused_call(part: Part, indices: Sequence[int], call: NesterovSGD | None) -> None:
    """Make an eager step of these parameters of a group."""
    part = part.subset(indices)
    if part.exp_avg_sqs is None:
        assert call is not None
        _decay(part.params, part.momentum_buffers, part.step, call)
        _kernel(part.params, part.grads, part.momentum_buffers, call, part.step.l2)
        raise_versions([*part.params, *part.momentum_buffers])
        if call.scale != part.scales[0]:
            part.scales = [call.scale] * len(indices)
            part.keep()
        return
    assert part.counts is not None
    step = part.step
    count = torch.full((), part.counts[0] + 1, dtype=torch.float32, device=part.params[0].device)
    for piece in pieces.pieces(part, indices):
        if call is None:
            pieces.adamw(piece, step, count)
        else:
            if step.drags:
                pull = step.drag(part.scales[0])
                torch._foreach_add_(piece.momentum_buffers, piece.params, alpha=pull)
            u = pieces.scaled(piece, step, count)
            _decay(piece.params, piece.momentum_buffers, step, call)
            _kernel(piece.params, u, piece.momentum_buffers, call)
    raise_versions([*part.params, *part.momentum_buffers, *part.exp_avg_sqs])
    part.counts = [part.counts[0] + 1] * len(indices)
    if call is not None:
        part.scales = [call.scale] * len(indices)
    part.keep()


def _decay(params: list[Tensor], buffers: list[Tensor], step: Step, call: NesterovSGD) -> None:
    """Do what comes before the kernel: weight decay, and a buffer's change of scale."""
    if step.shrinks:
        torch._foreach_mul_(params, 1 - step.shrinkage)
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


def _kernel(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    call: NesterovSGD,
    l2: float = 0.0,
) -> None:
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
def _kernel_works(device: torch.device, dtype: torch.dtype) -> bool:
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
            _kernel([param], [gradient], [buffer], call)
        except (AttributeError, TypeError, NotImplementedError, RuntimeError):
            return False
        a, b, c, d = coefficients
        expected = theta + a * momentum + b * gradient
        if not torch.allclose(param, expected, rtol=1e-5, atol=1e-5):
            return False
        if not torch.allclose(buffer / call.scale, c * momentum + d * gradient, atol=1e-5):
            return False
    return True
