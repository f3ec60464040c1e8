"""The step on lists of tensors: PyTorch's fused kernels, and multi-tensor operations.

The linear step is one call of the fused SGD kernel, which makes one pass over memory. The kernel
has three scalars, and a step of INDIAN has four. With β = γ three are enough. Otherwise one
multi-tensor operation makes up for the fourth, on tensors that the kernel has just left in the
processor's cache. The scaled gradient is a call of the fused Adam kernel without momentum, on zeros
instead of parameters.

With a buffer that holds σ w for a moving scale σ, as in indian_torch, the one call would always be
enough. But Keras's file holds only w, and the rounded w = buffer/σ does not give back the buffer,
so a resumed run would not equal the unbroken one bit for bit. Here the slots hold w itself after
every step.
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
    NesterovSGD,
    as_nesterov_sgd,
    from_new_momentum,
    heavy_ball,
)
from indian_keras._private import fused_adam, fused_sgd
from indian_keras.backend.step import Scaling

Tensors = list[torch.Tensor]
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}

# How many numbers of θ are processed at once on the CPU. With w and v they take 3 MB in float32,
# which fits in the last cache before memory.
_GROUP = 2**18


def fusible(theta: Tensors, v: Tensors, w: Tensors, squares: Tensors | None = None) -> bool:
    """Return whether the kernels, which do not check it, may walk the memory side by side.

    (The gradients are contiguous and of w's shapes, which was ensured when they came in.)
    """
    device = w[0].device
    slots = [*w, *(squares or ())]
    return (
        fused_sgd() is not None
        and (squares is None or fused_adam() is not None)
        and w[0].dtype in _NUMPY
        and device.type in ("cpu", "cuda")
        and {t.dtype for t in slots} == {w[0].dtype}
        and {t.device for t in chain(theta, slots, v)} == {device}
        and all(map(torch.Tensor.is_contiguous, chain(theta, slots)))
        and all(map(torch.Tensor.numel, theta))
        and [t.shape for t in theta] == [t.shape for t in w]
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
    w: Tensors,
    squares: Tensors | None = None,
    *,
    scaling: Scaling | None = None,
) -> None:
    """Make the step with the kernels, on tensors of one device and dtype."""
    if squares is None or scaling is None:
        _linear_step(step, theta, v, w)
        return
    device, dtype = w[0].device, w[0].dtype
    t = torch.full((), float(scaling.t), device=device)
    scratch: list[torch.Tensor] = []
    for some_theta, some_v, some_w, some_squares in _groups(theta, v, w, squares, cut=True):
        size = sum(each.numel() for each in some_v)
        if not scratch or scratch[0].numel() < size:
            scratch = [torch.empty(max(size, _GROUP), device=device, dtype=dtype) for _ in "um"]
        u, unused = (_parts(buffer.narrow(0, 0, size).zero_(), some_v) for buffer in scratch)
        fused_adam()(
            u,
            some_v,
            unused,
            some_squares,
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
        torch.autograd.graph.increment_version(some_squares)
        _linear_step(step, some_theta, u, some_w)


def _parts(flat: torch.Tensor, like: Tensors) -> Tensors:
    """Return a flat tensor's parts, in the shapes of other tensors."""
    parts = torch.split(flat, [each.numel() for each in like])
    return [part.view(each.shape) for part, each in zip(parts, like, strict=True)]


def _linear_step(step: Coefficients, theta: Tensors, v: Tensors, w: Tensors) -> None:
    """Make the linear step with the kernel.

    With the new w, the step is w ← C w + D v and θ ← θ + (A/C) w + R v. The heavy ball's call
    leaves out R v. For R < 0, that is β > γ, Nesterov's call makes all of θ's update, but leaves
    σ w instead of w.
    """
    gradient_share = from_new_momentum(step).theta_gradient
    ball = heavy_ball(step)
    # What rounding may leave of R, which is 0 at β = γ. The learning rate may have w's precision.
    rounding = max(ROUNDING, torch.finfo(w[0].dtype).eps)
    if abs(gradient_share) <= rounding * abs(step.theta_gradient):
        _sgd(ball, theta, w, v)
        return
    # For R > 0 the buffer would have to be negated first, which costs more than adding R v.
    nesterov = None
    # Where C rounds to 1, σ w and 1/σ would each round all of w at every step. And Keras's slot of
    # SGD, of the opposite sign, has no such call.
    dtype = _NUMPY[w[0].dtype]
    if gradient_share < 0 > step.theta_momentum and dtype(step.momentum_momentum) != 1:
        nesterov = as_nesterov_sgd(step, scale=1.0, dtype=dtype)
    for some_theta, some_w, some_v in _groups(theta, w, v):
        if nesterov is not None:
            _sgd(nesterov, some_theta, some_w, some_v)
            torch._foreach_mul_(some_w, 1 / nesterov.scale)
        else:
            _sgd(ball, some_theta, some_w, some_v)
            torch._foreach_add_(some_theta, some_v, alpha=gradient_share)


def _sgd(call: NesterovSGD, theta: Tensors, w: Tensors, v: Tensors) -> None:
    fused_sgd()(
        theta,
        v,
        w,
        weight_decay=0.0,
        momentum=call.momentum,
        lr=call.lr,
        dampening=call.dampening,
        nesterov=call.nesterov,
        maximize=False,
        is_first_step=False,
    )
    # The kernel does not tell autograd that it has changed these tensors.
    torch.autograd.graph.increment_version([*theta, *w])


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
    w: Tensors,
    squares: Tensors | None = None,
    *,
    scaling: Scaling | None = None,
) -> None:
    """Make θ from the old w, and then w, for any step and any tensors."""
    if squares is not None and scaling is not None:
        v = _scaled(v, squares, scaling)
    torch._foreach_add_(theta, w, alpha=step.theta_momentum)
    torch._foreach_add_(theta, v, alpha=step.theta_gradient)
    torch._foreach_mul_(w, step.momentum_momentum)
    torch._foreach_add_(w, v, alpha=step.momentum_gradient)


def _scaled(v: Tensors, squares: Tensors, scaling: Scaling) -> Tensors:
    """Update V, and return u."""
    sizes = [each.abs() if each.is_complex() else each for each in v]
    torch._foreach_mul_(squares, scaling.sigma)
    torch._foreach_addcmul_(squares, sizes, sizes, value=1 - scaling.sigma)
    roots: Any = torch._foreach_sqrt(squares)
    torch._foreach_div_(roots, math.sqrt(scaling.correction))
    torch._foreach_add_(roots, scaling.eps)
    return list(torch._foreach_div(v, roots))
