"""The step on Keras's torch backend: the whole model in a few calls. The one module with torch.

The base class would go variable by variable. Here the large part of the step is one call of
PyTorch's fused heavy-ball kernel, which makes w's update and w's share of θ's in one pass over
memory, and the rest one multi-tensor addition. With β = γ, as by default, there is no rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from indian_core import SMALLEST_DECAY, Coefficients, from_new_momentum

Tensors = list[torch.Tensor]


@torch.no_grad()
def update(
    step: Coefficients, variables: Sequence[Any], momentums: Sequence[Any], gradients: Sequence[Any]
) -> None:
    """Make one step on all variables; the gradients stay as they are.

    Args:
        step: The scalars of the step, as floats.
        variables: θ: Keras variables.
        momentums: w: Keras variables, float32 or float64.
        gradients: v: tensors of θ's shapes.
    """
    fused: tuple[Tensors, Tensors, Tensors] = ([], [], [])
    rest: tuple[Tensors, Tensors, Tensors] = ([], [], [])
    rounded = []
    for variable, slot, gradient in zip(variables, momentums, gradients, strict=True):
        theta, w, v = variable.value.detach(), slot.value.detach(), gradient
        if theta.dtype != w.dtype:
            # 16-bit: add in w's precision, and round once.
            rounded.append((theta, theta := theta.to(w.dtype)))
        v = v.to(w.dtype)
        # The kernel reads all three tensors in θ's memory order, without looking at strides.
        same_order = theta.stride() == w.stride() == v.stride()
        for tensors, tensor in zip(
            fused if same_order and _fusible(theta) else rest, (theta, w, v), strict=True
        ):
            tensors.append(tensor)
    # (CUDA's kernel refuses a negative momentum, which αγ > 1 makes.)
    if fused[0] and step.momentum_momentum >= SMALLEST_DECAY:
        _fused_step(step, *fused)
    elif fused[0]:
        _foreach_step(step, *fused)
    if rest[0]:
        _foreach_step(step, *rest)
    for theta, new_theta in rounded:
        theta.copy_(new_theta)


def _fusible(theta: torch.Tensor) -> bool:
    return (
        hasattr(torch, "_fused_sgd_")
        and theta.device.type in ("cpu", "cuda")
        and theta.numel() > 0
        and theta.is_contiguous()
    )


def _fused_step(step: Coefficients, theta: Tensors, w: Tensors, v: Tensors) -> None:
    """Make w ← C w + D v and θ ← θ + (A/C) w in one pass, then add what is left for v."""
    new = from_new_momentum(step)
    torch._fused_sgd_(
        theta,
        v,
        w,
        weight_decay=0.0,
        momentum=new.momentum_momentum,
        lr=-new.theta_momentum,
        dampening=1 - new.momentum_gradient,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )
    # At β = γ the rest is what rounding leaves of zero: that of these scalars, or of a learning
    # rate in w's precision.
    rounding = max(2.0**-46, torch.finfo(w[0].dtype).eps)
    if abs(new.theta_gradient) > rounding * abs(step.theta_gradient):
        torch._foreach_add_(theta, v, alpha=new.theta_gradient)


def _foreach_step(step: Coefficients, theta: Tensors, w: Tensors, v: Tensors) -> None:
    """Make θ from the old w, then w: for any step and any tensors."""
    torch._foreach_add_(theta, w, alpha=step.theta_momentum)
    torch._foreach_add_(theta, v, alpha=step.theta_gradient)
    torch._foreach_mul_(w, step.momentum_momentum)
    torch._foreach_add_(w, v, alpha=step.momentum_gradient)
