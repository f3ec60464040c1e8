"""The step on Keras's torch backend: the whole model in a few calls. The one module with torch.

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
    values = [variable.value for variable in variables]
    slots = [slot.value for slot in momentums]
    gradients = in_own_memory(gradients, [*values, *slots])
    kinds: dict[Any, tuple[Tensors, Tensors, Tensors]] = defaultdict(lambda: ([], [], []))
    rounded = []
    for theta, w, v in zip(values, slots, gradients, strict=True):
        new_theta, dtype = theta, w.dtype
        if theta.dtype != dtype:
            # 16-bit: add in w's precision, and round once.
            rounded.append((theta, new_theta := theta.to(dtype)))
        if v.dtype != dtype:
            v = v.to(dtype)  # noqa: PLW2901
        kind = (w.device, dtype) if _fusible(new_theta, w, v) else None
        thetas, ws, vs = kinds[kind]
        thetas.append(new_theta)
        ws.append(w)
        vs.append(v)
    for kind, tensors in kinds.items():
        if kind is not None and _is_exact(step, dtype=kind[1]):
            _fused_step(step, *tensors)
        else:
            _foreach_step(step, *tensors)
    for theta, new_theta in rounded:
        theta.copy_(new_theta)


def _fusible(theta: torch.Tensor, w: torch.Tensor, v: torch.Tensor) -> bool:
    """Return whether the kernel may walk the three tensors' memory side by side: it does not look.

    (The gradient is contiguous and of w's shape: that was seen to when it came in.)
    """
    return (
        w.dtype in _NUMPY
        and theta.shape == w.shape
        and theta.is_contiguous()
        and w.is_contiguous()
        and theta.device == w.device == v.device
        and theta.device.type in ("cpu", "cuda")
        and theta.numel() > 0
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
    torch._fused_sgd_(
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
    starts, ends = _extents(changing)
    order = np.argsort(starts)
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    v_starts, v_ends = _extents(tensors)
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


def _extents(tensors: Tensors) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return where the tensors begin and end in memory."""
    try:
        starts = np.fromiter(map(torch.Tensor.data_ptr, tensors), np.int64, len(tensors))
    except RuntimeError:  # those of a FakeTensorMode have no memory
        starts = np.zeros(len(tensors), np.int64)
    if all(map(torch.Tensor.is_contiguous, tensors)):
        sizes = [t.nbytes for t in tensors]
    else:
        sizes = [_span(t) for t in tensors]
    return starts, starts + np.array(sizes, np.int64)


def _span(t: torch.Tensor) -> int:
    if t.numel() == 0:
        return 0
    steps = zip(t.shape, t.stride(), strict=True)
    return t.element_size() * (1 + sum((n - 1) * stride for n, stride in steps))
