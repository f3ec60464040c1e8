r"""The for-loop implementation: one parameter at a time, for all that PyTorch can add and scale."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients
from indian_torch.step import rms
from indian_torch.step.precision import add_rounded, working_dtype
from indian_torch.step.settings import Settings
from indian_torch.step.tensors import Tensors


def single_tensor_step(tensors: Tensors, settings: Settings) -> None:
    """Make the step of one bucket of a group's tensors."""
    buffers = tensors.momentum_buffers
    scales = tensors.scale(settings)

    def write(i: int, update: Tensor, new_buffer: Tensor | None) -> None:
        add_rounded(tensors.params[i], update, settings.stochastic_rounding)
        if buffers is None or new_buffer is None:
            return
        if settings.differentiable:
            buffers[i] = new_buffer.to(buffers[i].dtype)  # autograd needs the old one
        else:
            buffers[i].copy_(new_buffer)

    results: list[tuple[int, Tensor, Tensor | None]] = []
    new_scale: Any = None
    for i, param in enumerate(tensors.params):
        buffer = None if buffers is None else buffers[i]
        dtype = working_dtype(param.dtype if buffer is None else buffer.dtype)
        grad = tensors.grads[i].to(dtype)
        # Autograd saves the factor of a product with a tensor, and param is about to change.
        before = param.clone() if settings.differentiable else param
        if settings.l2 is not None:
            grad = grad + settings.l2 * before.to(dtype)
        scale = scales[i] if isinstance(scales, list) else scales
        c, new_scale = settings.on_buffer(scale, dtype)
        if tensors.exp_avg_sqs is not None and tensors.counts is not None:
            by = rms.factor(tensors.counts[i], settings, dtype)
            squares = tensors.exp_avg_sqs[i]
            grad, tensors.exp_avg_sqs[i] = rms.quotient(grad, squares, by, settings)
            c = rms.scaled(c, by)
        if isinstance(scale, Tensor):
            scale.copy_(new_scale)

        dtypes = {param.dtype, param.dtype if buffer is None else buffer.dtype, dtype}
        eager = settings.on_host and tensors.states is not None
        if eager and settings.pull is None and len(dtypes) == 1:
            _in_place(param, grad, buffer, c, settings)
            continue

        # Scalars may be tensors here, which `alpha` does not accept (and torch.compile would keep
        # the `alpha` of an earlier step). 16-bit tensors are rounded once, at the end.
        update, new_buffer = grad * c.theta_gradient, None
        if buffer is not None:
            momentum = buffer.to(dtype)
            if settings.pull is not None:
                momentum = momentum + before.to(dtype) * settings.pull_on_buffer(scale)
            update = momentum * c.theta_momentum + update
            new_buffer = momentum * c.momentum_momentum + grad * c.momentum_gradient
        if settings.shrinkage is not None:
            update = update - settings.shrinkage * before.to(dtype)
        results.append((i, update, new_buffer))
        # In a compiled step a gradient may lie in the memory of a later parameter. The compiler
        # handles that if all gradients are read before the first parameter is written.
        if not torch.compiler.is_compiling():
            write(*results.pop())
    for result in results:
        write(*result)
    if not isinstance(scales, list):
        tensors.keep_scale(new_scale)
    if settings.differentiable:
        tensors.keep_buffers()


def _in_place(
    param: Tensor,
    grad: Tensor,
    buffer: Tensor | None,
    c: Coefficients,
    settings: Settings,
) -> None:
    if settings.shrinkage is not None:
        param.mul_(1 - settings.shrinkage)
    if buffer is not None:
        param.add_(buffer, alpha=c.theta_momentum)
        buffer.mul_(c.momentum_momentum).add_(grad, alpha=c.momentum_gradient)
    param.add_(grad, alpha=c.theta_gradient)
