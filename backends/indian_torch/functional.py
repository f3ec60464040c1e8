r"""The functional form of INDIAN, over its three implementations.

All three share one state per parameter, a buffer and its scale σ with buffer = σ w: w is the
momentum of `indian_core.momentum`. The for-loop and the foreach implementation leave σ as it is
(1 after a first step); the fused one moves it, which lets PyTorch's SGD kernel do the whole step.
The sign of ``maximize`` is in the scalars, so it costs nothing.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, _default_to_fused_or_foreach

from indian_torch.fused import _fused_indian
from indian_torch.precision import add_rounded
from indian_torch.scalars import Scale, Step


def indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Scale],
    foreach: bool | None = None,
    fused: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    stochastic_rounding: bool = False,
    has_sparse_grad: bool = False,
    *,
    lr: float | Tensor,
    alpha: float,
    beta: float,
    initial_speed: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    r"""Make one step of INDIAN on lists of tensors, in place.

    See `indian_torch.INDIAN` for the equations and the arguments.

    Args:
        params: θ.
        grads: v, of the same shapes. They are not changed.
        momentum_buffers: σ w, of the same shapes; zeros before the first step. Updated in place,
            or replaced in this list if ``differentiable``.
        scales: σ, 0 before a parameter's first step. Floats are replaced in this list, 0-dim
            tensors (``capturable``, ``torch.compile``) updated in place.
        foreach: Whether to use the foreach implementation.
        fused: Whether to use PyTorch's fused SGD kernel wherever it can do the step.
        capturable: Whether the step is to be captured in a CUDA graph: no decision on the host.
        differentiable: Whether autograd is to go through the step.
        stochastic_rounding: Whether to round 16-bit parameters stochastically.
        has_sparse_grad: Whether a gradient is sparse.
        lr: γ, a float or a tensor with one element.
        alpha: α.
        beta: β.
        initial_speed: s.
        weight_decay: λ.
        decoupled_weight_decay: Whether λ works as θ ← (1 − γλ) θ or as v ← v + λθ.
        maximize: Whether to go up rather than down.
    """
    on_host = not (capturable or differentiable or torch.compiler.is_compiling())
    if isinstance(lr, Tensor):
        # Off the CPU, item() waits for the device, as torch's SGD does with a Tensor lr.
        lr = lr.item() if on_host else lr.reshape(())
    step = Step(
        lr=lr,
        alpha=alpha,
        beta=beta,
        initial_speed=initial_speed,
        weight_decay=weight_decay,
        decoupled_weight_decay=decoupled_weight_decay,
        sign=-1.0 if maximize else 1.0,
    )
    automatic = foreach is None and fused is None
    if automatic:
        _, foreach = _default_to_fused_or_foreach(params, differentiable)
        foreach = foreach or torch.compiler.is_compiling()
    left = list(range(len(params)))
    if differentiable or has_sparse_grad:
        foreach = fused = False
    elif on_host and (fused or automatic):
        left = _fused_indian(
            params, grads, momentum_buffers, scales, step=step, automatic=automatic
        )
    if not left:
        return
    implementation = _multi_tensor_indian if foreach or fused else _single_tensor_indian
    lists = ([column[i] for i in left] for column in (params, grads, momentum_buffers, scales))
    some_params, some_grads, some_buffers, some_scales = lists
    implementation(
        some_params,
        some_grads,
        some_buffers,
        some_scales,
        step=step,
        on_host=on_host,
        differentiable=differentiable,
        stochastic_rounding=stochastic_rounding,
    )
    for i, buffer, scale in zip(left, some_buffers, some_scales, strict=True):
        momentum_buffers[i], scales[i] = buffer, scale


def _single_tensor_indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Scale],
    *,
    step: Step,
    on_host: bool,
    differentiable: bool,
    stochastic_rounding: bool,
) -> None:
    for i, (param, grad, buffer) in enumerate(zip(params, grads, momentum_buffers, strict=True)):
        c, scale = step.on_buffer(scales[i], buffer.dtype)
        if step.l2 != 0:
            # In the momentum's dtype, so that a 16-bit sum does not lose the decay.
            grad = torch.add(grad.to(buffer.dtype), param, alpha=step.l2)
        if on_host and param.dtype == buffer.dtype:
            if step.shrinkage != 0:
                param.mul_(1 - step.shrinkage)
            param.add_(buffer, alpha=c.theta_momentum).add_(grad, alpha=c.theta_gradient)
            buffer.mul_(c.momentum_momentum).add_(grad, alpha=c.momentum_gradient)
            scales[i] = scale
            continue
        grad = grad.to(buffer.dtype)
        update = buffer * c.theta_momentum + grad * c.theta_gradient
        if step.weight_decay != 0 and step.decoupled_weight_decay:
            update = update - param * step.shrinkage
        new_buffer = buffer * c.momentum_momentum + grad * c.momentum_gradient
        add_rounded(param, update, stochastic_rounding)
        if differentiable:
            momentum_buffers[i] = new_buffer
        else:
            buffer.copy_(new_buffer)
        if isinstance(scales[i], Tensor) and not differentiable:
            scales[i].fill_(scale)
        else:
            scales[i] = scale


def _multi_tensor_indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Scale],
    *,
    step: Step,
    on_host: bool,
    differentiable: bool,
    stochastic_rounding: bool,
) -> None:
    _single_tensor_indian(params, grads, momentum_buffers, scales, step=step, on_host=on_host, differentiable=differentiable, stochastic_rounding=stochastic_rounding)
