r"""The foreach implementation: a few operations on lists of tensors, for any dtype and strides."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients
from indian_torch.step import rms
from indian_torch.step.precision import SIXTEEN_BITS, add_rounded, working_dtype
from indian_torch.step.settings import Settings
from indian_torch.step.tensors import Tensors


def multi_tensor_step(tensors: Tensors, settings: Settings) -> None:
    """Make the step of one bucket of a group's tensors."""
    if settings.differentiable:
        raise RuntimeError("`foreach` does not support `differentiable`")
    params, buffers = tensors.params, tensors.momentum_buffers
    device, dtype = params[0].device, params[0].dtype
    wide_dtype = working_dtype(dtype if buffers is None else buffers[0].dtype)
    if not settings.on_host:
        settings = settings.to(device)  # foreach operations need their scalars there
    grads: Any = [grad.to(wide_dtype) for grad in tensors.grads]
    if settings.l2 is not None:
        grads = torch._foreach_add(grads, params, alpha=settings.l2)

    scale = tensors.scale(settings)
    if isinstance(scale, list):
        c, new_scale = settings.on_buffer(torch.stack(scale), wide_dtype)
        torch._foreach_copy_(scale, list(new_scale.unbind()))
        scale = scale[0]
    else:
        c, new_scale = settings.on_buffer(scale, wide_dtype)
        tensors.keep_scale(new_scale)
    denominators = None
    if tensors.exp_avg_sqs is not None and tensors.counts is not None:
        count = tensors.counts[0]
        if isinstance(count, Tensor):
            count = torch.stack(tensors.counts).to(device)
        by = rms.factor(count, settings, wide_dtype)
        denominators = rms.denominators(grads, tensors.exp_avg_sqs, by, settings)
        c = rms.scaled(c, by)

    if (
        settings.on_host
        and settings.pull is None
        and tensors.states is not None
        and dtype == wide_dtype
        and (buffers is None or buffers[0].dtype == dtype)
        and not isinstance(c.theta_gradient, Tensor)
    ):
        _in_place(params, grads, denominators, buffers, c, settings)
        return
    if denominators is not None:
        grads = torch._foreach_div(grads, denominators)
    momenta: Any = None if buffers is None else [buffer.to(wide_dtype) for buffer in buffers]
    if settings.pull is not None:
        wide = [param.to(wide_dtype) for param in params]
        pulls = torch._foreach_mul(wide, settings.pull_on_buffer(scale))
        momenta = torch._foreach_add(momenta, pulls)
    _rounding_once(params, grads, momenta, c, settings)
    if buffers is not None and momenta[0] is not buffers[0]:
        torch._foreach_copy_(buffers, momenta)


def _in_place(
    params: list[Tensor],
    grads: list[Tensor],
    denominators: list[Tensor] | None,
    buffers: list[Tensor] | None,
    c: Coefficients,
    settings: Settings,
) -> None:
    def add(tensors: list[Tensor], factor: float) -> None:
        if denominators is None:
            torch._foreach_add_(tensors, grads, alpha=factor)
        else:
            torch._foreach_addcdiv_(tensors, grads, denominators, factor)

    if settings.shrinkage is not None:
        torch._foreach_mul_(params, 1 - settings.shrinkage)
    if buffers is not None:
        torch._foreach_add_(params, buffers, alpha=c.theta_momentum)
        torch._foreach_mul_(buffers, c.momentum_momentum)
        add(buffers, c.momentum_gradient)
    add(params, c.theta_gradient)


def _rounding_once(
    params: list[Tensor],
    grads: list[Tensor],
    momenta: list[Tensor] | None,
    c: Coefficients,
    settings: Settings,
) -> None:
    """Make the step without `alpha`, rounding 16-bit tensors once at the end (see `for_loop`)."""
    updates = torch._foreach_mul(grads, _each(c.theta_gradient))
    if momenta is not None:
        torch._foreach_add_(updates, torch._foreach_mul(momenta, _each(c.theta_momentum)))
        torch._foreach_mul_(momenta, _each(c.momentum_momentum))
        torch._foreach_add_(momenta, torch._foreach_mul(grads, _each(c.momentum_gradient)))
    if settings.shrinkage is not None:
        wide = [param.to(update.dtype) for param, update in zip(params, updates, strict=True)]
        torch._foreach_sub_(updates, torch._foreach_mul(wide, settings.shrinkage))
    if settings.stochastic_rounding and params[0].dtype in SIXTEEN_BITS:
        for param, update in zip(params, updates, strict=True):
            add_rounded(param, update, stochastic=True)
    else:
        torch._foreach_add_(params, updates)


def _each(scalar: Any) -> Any:
    """Return a vector with one number per tensor as a list, and a single number unchanged."""
    return list(scalar.unbind()) if isinstance(scalar, Tensor) and scalar.ndim else scalar
