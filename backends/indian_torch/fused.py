r"""The fused implementation: the whole step as one call of PyTorch's own fused SGD kernel.

The kernel makes one pass over memory. `indian_core.as_nesterov_sgd` derives its scalars; a buffer
that holds σ w with a moving scale σ is what makes them fit. Some steps have no such call (αγ = 1,
γ = 0, …) and are left to another implementation, which works on the same buffer and scale.

The kernel is private to PyTorch and takes what it is given without looking: so it is tried out
once per device and dtype, and is given only tensors that it handles rightly.
"""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.optimizer import _foreach_supported_types

from indian_core import Coefficients, NesterovSGD, as_nesterov_sgd
from indian_torch.scalars import Step

# Where the kernel is chosen without being asked for. In float64 its `1 - dampening` may lose up
# to three digits, and users of float64 want all of them; MPS and XPU were never tested.
_AUTOMATIC_DEVICES = ("cpu", "cuda")
_AUTOMATIC_DTYPES = (torch.float32,)
_DTYPES = (torch.float32, torch.float64)
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}
_NATIVE = frozenset(_foreach_supported_types)  # no subclasses: they may be anything
_BYTES = operator.attrgetter("nbytes")
_DTYPE = operator.attrgetter("dtype")


def _fused_indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Any],
    *,
    step: Step,
    automatic: bool,
) -> list[int]:
    """Make the step of every parameter that the kernel can do, and return the others' indices.

    Args:
        params: θ.
        grads: v.
        momentum_buffers: σ w, updated in place.
        scales: σ, all floats; replaced in this list.
        step: The hyperparameters.
        automatic: Whether the kernel was not asked for by name, and is to be used only where it
            loses nothing.
    """
    dtypes = _AUTOMATIC_DTYPES if automatic else _DTYPES
    left: list[int] = []
    buckets: dict[tuple[torch.device, torch.dtype, float], Sequence[int]]
    if len(set(scales)) == 1 and _all_fit(params, grads, momentum_buffers, dtypes):
        buckets = {(params[0].device, params[0].dtype, scales[0]): range(len(params))}
    else:
        lists = defaultdict(list)
        for i, three in enumerate(zip(params, grads, momentum_buffers, strict=True)):
            if three[0].dtype in dtypes and _fit(*three):
                lists[three[0].device, three[0].dtype, scales[i]].append(i)
            else:
                left.append(i)
        buckets = dict(lists)

    for (device, dtype, scale), indices in buckets.items():
        call = None
        if (not automatic or device.type in _AUTOMATIC_DEVICES) and _kernel_works(device, dtype):
            call = as_nesterov_sgd(
                step.on_momentum(scale == 0), scale or 1.0, scale == 0, dtype=_NUMPY[dtype]
            )
        # The CUDA kernel refuses a negative momentum (αγ > 1).
        if call is None or call.momentum <= 0:
            left += indices
            continue
        some_params, some_grads, some_buffers = params, grads, momentum_buffers
        if len(indices) < len(params):
            some_params, some_grads, some_buffers = (
                [column[i] for i in indices] for column in (params, grads, momentum_buffers)
            )
        if step.shrinks:
            torch._foreach_mul_(some_params, 1 - step.shrinkage)
        if call.factor != 1:
            torch._foreach_mul_(some_buffers, call.factor)
        _kernel(some_params, some_grads, some_buffers, call, step.l2)
        for i in indices:
            scales[i] = call.scale
    return left


def _all_fit(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    dtypes: Sequence[torch.dtype],
) -> bool:
    """Return whether all tensors are of one kind that the kernel takes in one call.

    It stands for `_fit` of each parameter, but without a line of Python for each: on a thousand
    small tensors that is what a step costs, and every question put to all of them costs some
    hundredths of it. So few are asked: equal bytes in contiguous memory are what keeps the
    kernel inside of it. Another dtype with as many bytes, or a gradient or buffer on another
    device than its parameter, it refuses by itself.
    """
    dtypes_here, devices_here = set(map(_DTYPE, params)), set(map(Tensor.get_device, params))
    return (
        len(dtypes_here) == len(devices_here) == 1
        and dtypes_here.issubset(dtypes)
        and _NATIVE.issuperset(map(type, [*params, *grads]))
        and all(map(Tensor.is_contiguous, [*params, *grads, *momentum_buffers]))
        and _bytes(params) == _bytes(grads) == _bytes(momentum_buffers)
    )


def _bytes(tensors: list[Tensor]) -> list[int]:
    return list(map(_BYTES, tensors))


def _fit(param: Tensor, grad: Tensor, buffer: Tensor) -> bool:
    """Return whether the kernel may walk the three tensors' memory side by side.

    A buffer is dense by construction, so with equal strides all three are. (Strides of dimensions
    of size 1 may differ between tensors that are contiguous all the same.)
    """
    return (
        type(param) in _NATIVE
        and type(grad) in _NATIVE
        and param.shape == grad.shape == buffer.shape
        and param.dtype == grad.dtype == buffer.dtype
        and param.device == grad.device == buffer.device
        and (
            (param.is_contiguous() and grad.is_contiguous() and buffer.is_contiguous())
            or param.stride() == grad.stride() == buffer.stride()
        )
    )


def _kernel(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], call: NesterovSGD, l2: float
) -> None:
    torch._fused_sgd_(
        params,
        grads,
        buffers,
        weight_decay=l2,
        momentum=call.momentum,
        lr=call.lr,
        dampening=call.dampening,
        nesterov=call.nesterov,
        # Not the kernel's own: CUDA's and the CPU's differ in what they leave in the buffer.
        maximize=False,
        is_first_step=False,
    )


@functools.cache
def _kernel_works(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether PyTorch has the kernel here, and whether it does what we take it for."""
    numbers = torch.linspace(-1.0, 2.0, 3 * 19, dtype=torch.float64).reshape(3, 19)
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
            _kernel([param], [gradient], [buffer], call, 0.0)
        except (AttributeError, TypeError, NotImplementedError, RuntimeError):
            return False
        a, b, c, d = coefficients
        expected = theta + a * momentum + b * gradient
        if not torch.allclose(param, expected, rtol=1e-5, atol=1e-5):
            return False
        if not torch.allclose(buffer / call.scale, c * momentum + d * gradient, atol=1e-5):
            return False
    return True
