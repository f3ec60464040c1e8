"""The step on Keras's torch backend: the whole model in a few calls.

The base class would go variable by variable. Here the step is one call of PyTorch's fused SGD
kernel, which makes one pass over memory. It has three scalars and a step of INDIAN four. With
β = γ, as by default, three are enough; otherwise one multi-tensor operation makes up for the
fourth, on tensors that the kernel has just left in the processor's cache.

(A buffer that holds σ w with a moving scale σ would make the one call enough, as in indian_torch.
But Keras's file holds w alone, and w = buffer/σ, rounded, is not the buffer any more: a resumed run
would not be the unbroken one bit for bit. Here the slots hold w itself after every step.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from indian_core import (
    SMALLEST_DECAY,
    Coefficients,
    NesterovSGD,
    as_nesterov_sgd,
    from_new_momentum,
)
from indian_keras._private import fused_sgd, values

Tensors = list[torch.Tensor]
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}

# How many numbers of θ are taken at once on the CPU, in whole tensors. With w and v they are 3 MB
# in float32, which the last cache before memory holds. (Pieces of tensors would fit the caches
# before it, but the calls for so many take longer than memory does.)
_GROUP = 2**18


# Not for Inductor, which has no rule for the kernel; and the scalars, being floats, would have it
# compile every step of a schedule anew.
@torch.compiler.disable  # type: ignore[untyped-decorator]
@torch.no_grad()
def update(
    make_step: Callable[[], Coefficients],
    variables: Sequence[Any],
    momentums: Sequence[Any],
    gradients: Sequence[Any],
) -> None:
    """Make one step on all variables; the gradients stay as they are.

    Args:
        make_step: Returns the scalars of the step, as floats.
        variables: θ: Keras variables.
        momentums: w: Keras variables, float32 or float64.
        gradients: v: tensors of θ's shapes.
    """
    step = make_step()
    parameters, slots = values(variables), values(momentums)
    gradients = in_own_memory(gradients, [*parameters, *slots])
    # 16-bit: add in w's precision, and round once.
    thetas = [
        t if t.dtype == w.dtype else t.to(w.dtype) for t, w in zip(parameters, slots, strict=True)
    ]
    gradients = [
        v if v.dtype == w.dtype else v.to(w.dtype) for v, w in zip(gradients, slots, strict=True)
    ]
    if _fusible(thetas, slots, gradients):  # nearly always, and asked at once
        kinds: dict[Any, tuple[Tensors, ...]] = {
            (slots[0].device, slots[0].dtype): (thetas, slots, gradients)
        }
    else:
        kinds = defaultdict(lambda: ([], [], []))
        for tensors in zip(thetas, slots, gradients, strict=True):
            w = tensors[1]
            kind = (w.device, w.dtype) if _fusible(*([t] for t in tensors)) else None
            for of_kind, tensor in zip(kinds[kind], tensors, strict=True):
                of_kind.append(tensor)
    for kind, lists in kinds.items():
        if kind is not None and _is_exact(step, dtype=kind[1]):
            _fused_step(step, *lists)
        else:
            _foreach_step(step, *lists)
    for theta, new_theta in zip(parameters, thetas, strict=True):
        if new_theta is not theta:
            theta.copy_(new_theta)


def _fusible(theta: Tensors, w: Tensors, v: Tensors) -> bool:
    """Return whether the kernel may walk the tensors' memory side by side: it does not look.

    (The gradients are contiguous and of w's shapes: that was seen to when they came in.)
    """
    device = w[0].device
    return (
        fused_sgd() is not None
        and w[0].dtype in _NUMPY
        and device.type in ("cpu", "cuda")
        and {t.dtype for t in w} == {w[0].dtype}
        and {t.device for t in chain(theta, w, v)} == {device}
        and all(map(torch.Tensor.is_contiguous, chain(theta, w)))
        and all(map(torch.Tensor.numel, theta))
        and [t.shape for t in theta] == [t.shape for t in w]
    )


def _is_exact(step: Coefficients, dtype: torch.dtype) -> bool:
    """Return whether the kernel's scalars hold all digits that the dtype has."""
    # (And CUDA's kernel refuses a negative momentum, which αγ > 1 makes.)
    if step.momentum_momentum < SMALLEST_DECAY:
        return False
    # The kernel is told D as 1 − D, in double precision: a small D loses digits there.
    return dtype == torch.float32 or abs(step.momentum_gradient) >= SMALLEST_DECAY


def _fused_step(step: Coefficients, theta: Tensors, w: Tensors, v: Tensors) -> None:
    """Make the step with the kernel, on tensors of one device and dtype.

    With the new w, the step is w ← C w + D v and θ ← θ + (A/C) w + R v. The heavy ball leaves out
    R v. Nesterov's makes all of θ's update, for R < 0, that is β > γ, and leaves σ w for w.
    """
    new = from_new_momentum(step)
    rest = new.theta_gradient
    # At β = γ the rest is what rounding leaves of zero: that of these scalars, or of a learning
    # rate in w's precision.
    rounding = max(2.0**-46, torch.finfo(w[0].dtype).eps)
    heavy_ball = NesterovSGD(
        lr=-new.theta_momentum,
        momentum=new.momentum_momentum,
        dampening=1 - new.momentum_gradient,
        nesterov=False,
        factor=1.0,
        scale=1.0,
    )
    if abs(rest) <= rounding * abs(step.theta_gradient):
        _kernel(heavy_ball, theta, w, v)
        return
    # For R > 0 the buffer would have to be negated first, which is more work than R v.
    nesterov = None
    # (Where C rounds to 1, σ w and 1/σ would each round all of w at every step.)
    dtype = _NUMPY[w[0].dtype]
    if rest < 0 and dtype(step.momentum_momentum) != 1:
        nesterov = as_nesterov_sgd(step, scale=1.0, dtype=dtype)
    for some_theta, some_w, some_v in _groups(theta, w, v):
        if nesterov is not None:
            _kernel(nesterov, some_theta, some_w, some_v)
            torch._foreach_mul_(some_w, 1 / nesterov.scale)
        else:
            _kernel(heavy_ball, some_theta, some_w, some_v)
            torch._foreach_add_(some_theta, some_v, alpha=rest)


def _kernel(call: NesterovSGD, theta: Tensors, w: Tensors, v: Tensors) -> None:
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
    # The kernel does not tell autograd that it has changed them.
    torch.autograd.graph.increment_version([*theta, *w])


def _groups(theta: Tensors, w: Tensors, v: Tensors) -> Iterator[tuple[Tensors, Tensors, Tensors]]:
    """Yield the tensors a few at a time, so that a second operation finds them in the cache."""
    if theta[0].device.type != "cpu":
        yield theta, w, v
        return
    start = size = 0
    for end, tensor in enumerate(theta, 1):
        size += tensor.numel()
        if size >= _GROUP or end == len(theta):
            yield theta[start:end], w[start:end], v[start:end]
            start, size = end, 0


def _foreach_step(step: Coefficients, theta: Tensors, w: Tensors, v: Tensors) -> None:
    """Make θ from the old w, then w: for any step and any tensors."""
    torch._foreach_add_(theta, w, alpha=step.theta_momentum)
    torch._foreach_add_(theta, v, alpha=step.theta_gradient)
    torch._foreach_mul_(w, step.momentum_momentum)
    torch._foreach_add_(w, v, alpha=step.momentum_gradient)


def in_own_memory(gradients: Sequence[torch.Tensor], changing: Tensors) -> Tensors:
    """Return the gradients, those replaced by copies that a step would change.

    That is, those in the memory of what it changes; and those that are no plain memory: sparse,
    lazily negated or conjugated, or views with gaps.
    """
    tensors = list(gradients)
    if not (
        {v.layout for v in tensors} <= {torch.strided}
        and all(map(torch.Tensor.is_contiguous, tensors))
        and not any(map(torch.Tensor.is_neg, tensors))
        and not any(map(torch.Tensor.is_conj, tensors))
    ):
        tensors = [_plain(v) for v in tensors]
    starts, ends = _extents(changing, all(map(torch.Tensor.is_contiguous, changing)))
    order = np.argsort(starts)
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    v_starts, v_ends = _extents(tensors, contiguous=True)
    # Of all that start before a gradient ends, the one that reaches farthest.
    last = np.searchsorted(starts, v_ends) - 1
    shared = (last >= 0) & (ends[last] > v_starts) & (v_ends > v_starts)
    for i in np.flatnonzero(shared):
        tensors[i] = tensors[i].clone()
    return tensors


def _plain(v: torch.Tensor) -> torch.Tensor:
    if v.layout != torch.strided:
        v = v.to_dense()
    return v.resolve_conj().resolve_neg().contiguous()


def _extents(
    tensors: Tensors, contiguous: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return where the tensors begin and end in memory."""
    try:
        starts = np.fromiter(map(torch.Tensor.data_ptr, tensors), np.int64, len(tensors))
    except RuntimeError:  # those of a FakeTensorMode have no memory
        starts = np.zeros(len(tensors), np.int64)
    sizes = (t.nbytes if contiguous else _span(t) for t in tensors)
    return starts, starts + np.fromiter(sizes, np.int64, len(tensors))


def _span(t: torch.Tensor) -> int:
    if t.numel() == 0:
        return 0
    steps = zip(t.shape, t.stride(), strict=True)
    return t.element_size() * (1 + sum((n - 1) * stride for n, stride in steps))
