r"""The for-loop implementation: one parameter at a time, for all that PyTorch can add and scale."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients
from indian_torch.step import rms
from indian_torch.step.part import Part
from indian_torch.step.precision import add_rounded, working_dtype
from indian_torch.step.scalars import Scale, Step


def _single_tensor_indian(part: Part) -> None:
    step = part.step

    def write(i: int, update: Tensor, new_buffer: Tensor, new_scale: Any) -> None:
        buffer, scale = part.momentum_buffers[i], part.scales[i]
        add_rounded(part.params[i], update, step.stochastic_rounding)
        if step.differentiable:
            part.momentum_buffers[i] = new_buffer.to(buffer.dtype)  # autograd needs the old one
        else:
            buffer.copy_(new_buffer)
        if isinstance(scale, Tensor):
            scale.copy_(new_scale)
        else:
            part.scales[i] = new_scale

    results: list[tuple[int, Tensor, Tensor, Any]] = []
    by_scale: dict[Any, tuple[Coefficients, Scale]] = {}  # most parameters have the same scale
    for i, (param, buffer) in enumerate(zip(part.params, part.momentum_buffers, strict=True)):
        dtype = working_dtype(buffer.dtype)
        grad = part.grads[i].to(dtype)
        if step.couples:
            grad = grad + step.l2 * param.to(dtype)
        scale = part.scales[i]
        if isinstance(scale, Tensor):
            c, new_scale = step.on_buffer(scale, dtype)
        else:
            if scale not in by_scale:
                by_scale[scale] = step.on_buffer(scale, dtype)
            c, new_scale = by_scale[scale]
        if part.exp_avg_sqs is not None:
            grad, c = _scale(part, i, grad, c, step)

        if part.on_host and param.dtype == buffer.dtype == dtype:
            _in_place(param, grad, buffer, c, step, step.drag(scale))
            part.scales[i] = new_scale
            continue

        # Scalars may be tensors here, which `alpha` does not accept (and torch.compile would keep
        # the `alpha` of an earlier step). 16-bit tensors are rounded once, at the end.
        momentum = buffer.to(dtype)
        # Autograd saves the factor of the product with a Tensor lr, and param is about to change.
        before = param.clone() if step.differentiable and step.shrinks else param
        if step.drags:
            momentum = momentum + before.to(dtype) * step.drag(scale)
        update = momentum * c.theta_momentum + grad * c.theta_gradient
        if step.shrinks:
            update = update - step.shrinkage * before.to(dtype)
        new_buffer = momentum * c.momentum_momentum + grad * c.momentum_gradient
        results.append((i, update, new_buffer, new_scale))
        # In a compiled step a gradient may lie in the memory of a later parameter. The compiler
        # handles that if all gradients are read before the first parameter is written.
        if not torch.compiler.is_compiling():
            write(*results.pop())
    for result in results:
        write(*result)


def _in_place(
    param: Tensor, grad: Tensor, buffer: Tensor, c: Coefficients, step: Step, drag: Any
) -> None:
    if step.drags:
        buffer.add_(param, alpha=drag)
    if step.shrinks:
        param.mul_(1 - step.shrinkage)
    param.add_(buffer, alpha=c.theta_momentum).add_(grad, alpha=c.theta_gradient)
    buffer.mul_(c.momentum_momentum).add_(grad, alpha=c.momentum_gradient)


def _scale(
    part: Part, i: int, grad: Tensor, c: Coefficients, step: Step
) -> tuple[Tensor, Coefficients]:
    """Return a scaled gradient and its coefficients. V and its count are updated."""
    assert part.exp_avg_sqs is not None
    assert part.counts is not None
    part.counts[i] += 1  # a tensor in place
    by = rms.factor(part.counts[i], step, grad.dtype)
    grad, part.exp_avg_sqs[i] = rms.quotient(grad, part.exp_avg_sqs[i], by, step)
    return grad, rms.scaled(c, by)
