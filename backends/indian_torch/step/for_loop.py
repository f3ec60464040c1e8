r"""The for-loop implementation: one parameter at a time, for whatever PyTorch can add and scale."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients
from indian_torch.step.precision import add_rounded, working_dtype
from indian_torch.step.scalars import Scale, Step


def _single_tensor_indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Scale],
    *,
    step: Step,
    on_host: bool,
) -> None:
    def write(i: int, update: Tensor, new_buffer: Tensor, new_scale: Any) -> None:
        buffer, scale = momentum_buffers[i], scales[i]
        add_rounded(params[i], update, step.stochastic_rounding)
        if step.differentiable:
            momentum_buffers[i] = new_buffer.to(buffer.dtype)  # autograd needs the old one
        else:
            buffer.copy_(new_buffer)
        if isinstance(scale, Tensor):
            scale.copy_(new_scale)
        else:
            scales[i] = new_scale

    results: list[tuple[int, Tensor, Tensor, Any]] = []
    by_scale: dict[float, tuple[Coefficients, float]] = {}  # most parameters share theirs
    for i, (param, buffer) in enumerate(zip(params, momentum_buffers, strict=True)):
        dtype = working_dtype(buffer.dtype)
        grad = grads[i].to(dtype)
        if step.l2 != 0:
            grad = grad + step.l2 * param.to(dtype)
        scale = scales[i]
        if isinstance(scale, Tensor):
            c, new_scale = step.on_buffer(scale, dtype)
        else:
            if scale not in by_scale:
                by_scale[scale] = step.on_buffer(scale, dtype)
            c, new_scale = by_scale[scale]

        if on_host and param.dtype == buffer.dtype == dtype:
            if step.shrinks:
                param.mul_(1 - step.shrinkage)
            param.add_(buffer, alpha=c.theta_momentum).add_(grad, alpha=c.theta_gradient)
            buffer.mul_(c.momentum_momentum).add_(grad, alpha=c.momentum_gradient)
            scales[i] = new_scale
            continue

        # Scalars may be tensors here, which `alpha` does not take (and torch.compile would keep
        # an `alpha` of earlier steps); and what has 16 bits is rounded once, at the end.
        momentum = buffer.to(dtype)
        update = momentum * c.theta_momentum + grad * c.theta_gradient
        if step.shrinks:
            # The product with a Tensor lr keeps its factor for autograd; param is about to change.
            before = param.clone() if step.differentiable else param
            update = update - step.shrinkage * before.to(dtype)
        new_buffer = momentum * c.momentum_momentum + grad * c.momentum_gradient
        results.append((i, update, new_buffer, new_scale))
        # In a compiled step a gradient may lie in the memory of a later parameter; the compiler
        # knows, if all are read before the first is written.
        if not torch.compiler.is_compiling():
            write(*results.pop())
    for result in results:
        write(*result)
