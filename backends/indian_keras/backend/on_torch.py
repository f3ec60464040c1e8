"""The step on Keras's torch backend: the whole model in a few calls.

The base class would make the step variable by variable. Here `indian_keras.backend.kernels` makes
it on the tensors of all variables together, in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress
from typing import Any

import torch

from indian_keras import _private
from indian_keras.backend import kernels
from indian_keras.backend.kernels import Tensors
from indian_keras.backend.step import Slots, Step

expm1 = math.expm1


def scalar(value: Any, dtype: str) -> float:
    """Return a number as a float."""
    del dtype
    return float(value)


def uncompiled(function: Any) -> Any:
    """Return a function that torch.compile leaves out of its graphs, and autograd too.

    Inductor has no rule for the kernels, and would compile every step of a schedule anew, because
    the scalars are floats.
    """
    return torch.compiler.disable(torch.no_grad()(function))  # type: ignore[no-untyped-call]


def update(
    optimizer: Any, step: Step, gradients: Sequence[torch.Tensor], slots: Sequence[Slots]
) -> None:
    """Make one step on all variables, without changing the gradients.

    Args:
        optimizer: The optimizer, which is not used here.
        step: The scalars of the step.
        gradients: v, as tensors of θ's shapes.
        slots: θ, as Keras variables, and the slots of each.
    """
    del optimizer
    variables, momentums, velocities, decays = zip(*slots, strict=True)
    theta = _private.values(variables)
    momentum, squares = (
        None if each[0] is None else _private.values(each) for each in (momentums, velocities)
    )
    v = [_plain(v, t) for v, t in zip(gradients, theta, strict=True)]
    make(step, theta, v, momentum, squares, decays)


def _plain(v: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Return a gradient in memory that the kernels can read: dense, contiguous and not θ's own."""
    if v.layout != torch.strided:
        v = v.to_dense()
    v = v.resolve_conj().resolve_neg().contiguous()
    return v.clone() if v.data_ptr() == theta.data_ptr() else v


def make(
    step: Step,
    theta: Tensors,
    gradients: Tensors,
    momentum: Tensors | None,
    squares: Tensors | None = None,
    decays: Sequence[bool] = (),
) -> None:
    """Make one step on tensors, in place.

    Args:
        step: The scalars of the step, as floats.
        theta: θ.
        gradients: v, of θ's shapes, contiguous, and not in memory that the step changes.
        momentum: s, float32 or float64, or None for a step without momentum.
        squares: V, if the gradients are scaled.
        decays: Which tensors decay.

    Raises:
        ValueError: If a scalar is beyond the range of a tensor's dtype. Nothing is changed then.
    """
    # For 16-bit parameters, add in the slots' precision, and round once.
    wide = [t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in theta]
    _check_range(step, wide)
    v = [v if v.dtype == t.dtype else v.to(t.dtype) for v, t in zip(gradients, wide, strict=True)]
    if step.decay is not None:
        _decay(step, list(compress(wide, decays)), list(compress(momentum or (), decays)))
    if momentum is None:
        torch._foreach_add_(wide, v, alpha=step.linear.theta_gradient)
    else:
        lists = (wide, v, momentum, *([] if squares is None else [squares]))
        fused = kernels.fusible(*lists) and kernels.is_exact(step.linear, momentum[0].dtype)
        of_lists = kernels.fused_step if fused else kernels.foreach_step
        of_lists(step.linear, *lists, scaling=step.scaling)
    for parameter, new in zip(theta, wide, strict=True):
        if new is not parameter:
            parameter.copy_(new)


def _check_range(step: Step, tensors: Tensors) -> None:
    largest = min(torch.finfo(dtype).max for dtype in {t.dtype for t in tensors})
    if any(abs(number) > largest for number in step.linear):
        raise ValueError(
            f"Invalid learning rate or other number: the scalars of the step, {tuple(step.linear)},"
            f" are beyond {largest:.3g}"
        )


def _decay(step: Step, theta: Tensors, momentum: Tensors) -> None:
    if theta and step.pull is not None:
        torch._foreach_add_(momentum, theta, alpha=step.pull)
    if theta:
        torch._foreach_mul_(theta, 1 - step.decay)
