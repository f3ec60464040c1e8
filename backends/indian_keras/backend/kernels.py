"""The step on lists of tensors: PyTorch's fused kernels, and multi-tensor operations.

The linear step is one call of the fused SGD kernel, which makes one pass over memory. The kernel
has three scalars, and a step has four. For SGD's heavy ball, and for INDIAN at β = γ, three are
enough. Otherwise one multi-tensor operation makes up for the fourth, on tensors that the kernel has
just left in the processor's cache. The scaled gradient is a call of the fused Adam kernel without
momentum, on zeros instead of parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch

from indian_core import (
    ROUNDING,
    SMALLEST_DECAY,
    Coefficients,
    as_nesterov_sgd,
    heavy_ball,
    left_out,
)
from indian_keras._private import fused_kernel
from indian_keras.backend.step import Scaling

Tensors = list[torch.Tensor]

# How many numbers of θ are processed at once on the CPU. With s and v they take 3 MB in float32,
# which fits in the last cache before memory.
_GROUP = 2**18


def fusible(theta: Tensors, v: Tensors, s: Tensors, squares: Tensors | None = None) -> bool:
    """Return whether the kernels, which do not check it, may walk the memory side by side.

    The gradients are contiguous and of s's shapes, which was ensured when they came in.
    """
    device = s[0].device
    slots = [*s, *(squares or ())]
    return (
        fused_kernel("_fused_sgd_") is not None
        and (squares is None or fused_kernel("_fused_adam_") is not None)
        and s[0].dtype in (torch.float32, torch.float64)
        and device.type in ("cpu", "cuda")
        and {t.dtype for t in slots} == {s[0].dtype}
        and {t.device for t in chain(theta, slots, v)} == {device}
        and all(map(torch.Tensor.is_contiguous, chain(theta, slots)))
        and all(map(torch.Tensor.numel, theta))
        and [t.shape for t in theta] == [t.shape for t in s]
    )


def is_exact(step: Coefficients, dtype: torch.dtype) -> bool:
    """Return whether the kernel's scalars hold all digits that the dtype has."""
    # And CUDA's kernel refuses a negative momentum, which αγ > 1 makes.
    if step.momentum_momentum < SMALLEST_DECAY:
        return False
    # The kernel takes D as 1 − D, in double precision, where a small D loses digits.
    return dtype == torch.float32 or abs(step.momentum_gradient) >= SMALLEST_DECAY


def fused_step(
    step: Coefficients,
    theta: Tensors,
    v: Tensors,
    s: Tensors,
    squares: Tensors | None = None,
    *,
    scaling: Scaling | None = None,
) -> None:
    """Make the step with the kernels, on tensors of one device and dtype."""
    if squares is None or scaling is None:
        _linear_step(step, theta, v, s)
        return
    for some_theta, some_v, some_s, some_squares in _groups(theta, v, s, squares, cut=True):
        _linear_step(step, some_theta, _scaled_by_kernel(some_v, some_squares, scaling), some_s)


def _scaled_by_kernel(v: Tensors, squares: Tensors, scaling: Scaling) -> Tensors:
    """Update V, and return u, which is what Adam without momentum adds to zeros."""
    u, unused = ([torch.empty_like(each) for each in v] for _ in "um")
    torch._foreach_zero_([*u, *unused])
    t = torch.full((), float(scaling.t), device=v[0].device)
    fused_kernel("_fused_adam_")(
        u,
        v,
        unused,
        squares,
        [],
        [t] * len(u),
        lr=-1.0,
        beta1=0.0,
        beta2=scaling.sigma,
        weight_decay=0.0,
        eps=scaling.eps,
        amsgrad=False,
        maximize=False,
    )
    torch.autograd.graph.increment_version(squares)
    return u


def _linear_step(step: Coefficients, theta: Tensors, v: Tensors, s: Tensors) -> None:
    """Make the linear step with the kernel.

    With the new s, the step is s ← C s + D v and θ ← θ + (A/C) s + R v. The heavy ball's call
    leaves out R v. For R < 0 and A < 0 (INDIAN with β > γ), Nesterov's call makes all of θ's
    update, but leaves a multiple of s, and to divide s is faster than to add R v.
    """
    dtype = s[0].dtype
    call, share = heavy_ball(step), left_out(step)
    # What rounding may leave of R, which is 0 at β = γ and for SGD's heavy ball. The learning rate
    # may have the precision of s.
    adds = abs(share) > max(ROUNDING, torch.finfo(dtype).eps) * abs(step.theta_gradient)
    number = np.float64 if dtype == torch.float64 else np.float32
    # Where C rounds to 1, the products would round all of s at every step.
    if adds and share < 0 > step.theta_momentum and number(step.momentum_momentum) != 1:
        call = as_nesterov_sgd(step, 1.0, dtype=number) or call
    for some_theta, some_s, some_v in _groups(theta, s, v) if adds else [(theta, s, v)]:
        fused_kernel("_fused_sgd_")(
            some_theta,
            some_v,
            some_s,
            weight_decay=0.0,
            momentum=call.momentum,
            lr=call.lr,
            dampening=call.dampening,
            nesterov=call.nesterov,
            maximize=False,
            is_first_step=False,
        )
        # The kernel does not tell autograd that it has changed these tensors.
        torch.autograd.graph.increment_version([*some_theta, *some_s])
        if call.nesterov:
            torch._foreach_mul_(some_s, 1 / call.scale)
        elif adds:
            torch._foreach_add_(some_theta, some_v, alpha=share)


def _groups(*lists: Tensors, cut: bool = False) -> Iterator[tuple[Tensors, ...]]:
    """Yield the tensors a few at a time, so that a second operation finds them in the cache.

    Args:
        *lists: Lists of contiguous tensors, with the same shapes.
        cut: Whether to cut the tensors that are larger than a group. (Where two kernels process
            each number, this is worth the additional calls.)
    """
    if lists[0][0].device.type != "cpu":
        yield lists
        return
    if cut and any(each.numel() > _GROUP for each in lists[0]):
        lists = tuple([p for each in some for p in _cut(each)] for some in lists)
    start = size = 0
    for end, tensor in enumerate(lists[0], 1):
        size += tensor.numel()
        if size >= _GROUP or end == len(lists[0]):
            yield tuple(some[start:end] for some in lists)
            start, size = end, 0


def _cut(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    if tensor.numel() <= _GROUP:
        return (tensor,)
    return tuple(torch.split(tensor.view(-1), _GROUP))


def foreach_step(
    step: Coefficients,
    theta: Tensors,
    v: Tensors,
    s: Tensors,
    squares: Tensors | None = None,
    *,
    scaling: Scaling | None = None,
) -> None:
    """Make θ from the old s, and then s, for any step and any tensors."""
    if squares is not None and scaling is not None:
        v = _scaled(v, squares, scaling)
    torch._foreach_add_(theta, s, alpha=step.theta_momentum)
    torch._foreach_add_(theta, v, alpha=step.theta_gradient)
    torch._foreach_mul_(s, step.momentum_momentum)
    torch._foreach_add_(s, v, alpha=step.momentum_gradient)


def _scaled(v: Tensors, squares: Tensors, scaling: Scaling) -> Tensors:
    """Update V, and return u."""
    sizes = [each.abs() if each.is_complex() else each for each in v]
    torch._foreach_mul_(squares, scaling.sigma)
    torch._foreach_addcmul_(squares, sizes, sizes, value=1 - scaling.sigma)
    roots: Any = torch._foreach_sqrt(squares)
    torch._foreach_div_(roots, math.sqrt(scaling.correction))
    torch._foreach_add_(roots, scaling.eps)
    return list(torch._foreach_div(v, roots))
