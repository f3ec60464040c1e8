r"""The foreach implementation: a few operations on lists of tensors, for any dtype and strides."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients
from indian_torch.step import rms
from indian_torch.step.part import Part
from indian_torch.step.precision import SIXTEEN_BITS, add_rounded, working_dtype
from indian_torch.step.scalars import Step


def _multi_tensor_indian(part: Part) -> None:
    if part.step.differentiable:
        raise RuntimeError("`foreach` does not support `differentiable`")
    buckets = defaultdict(list)
    counts: list[Any] = part.counts or [None] * len(part.params)
    for i, (param, buffer) in enumerate(zip(part.params, part.momentum_buffers, strict=True)):
        numbers = [None if isinstance(n, Tensor) else n for n in (part.scales[i], counts[i])]
        buckets[param.device, param.dtype, buffer.dtype, *numbers].append(i)
    for indices in buckets.values():
        bucket = part.subset(indices)
        _step_on_alike(bucket)
        for i, scale in zip(indices, bucket.scales, strict=True):
            part.scales[i] = scale
        if part.counts is not None and bucket.counts is not None:
            for i, count in zip(indices, bucket.counts, strict=True):
                part.counts[i] = count


def _step_on_alike(part: Part) -> None:
    """Make the step of parameters with the same device, dtypes, scale and count."""
    step, params, buffers = part.step, part.params, part.momentum_buffers
    device, dtype, buffer_dtype = params[0].device, params[0].dtype, buffers[0].dtype
    wide_dtype = working_dtype(buffer_dtype)
    grads: Any = [grad.to(wide_dtype) for grad in part.grads]
    if step.couples and isinstance(step.l2, Tensor):
        pulls = [param.to(wide_dtype) for param in params]
        grads = torch._foreach_add(grads, torch._foreach_mul(pulls, step.l2.to(device)))
    elif step.couples:
        grads = torch._foreach_add(grads, params, alpha=step.l2)

    scale = part.scales[0]
    if isinstance(scale, Tensor):
        # foreach operations need their scalars on the device.
        there: dict[str, Any] = {name: t.to(device) for name, t in step.tensors.items()}
        step = step._replace(**there)
        c, new_scale = step.on_buffer(torch.stack(part.scales), wide_dtype)
        torch._foreach_copy_(part.scales, list(new_scale.unbind()))
    else:
        c, new_scale = step.on_buffer(scale, wide_dtype)
        part.scales = [new_scale] * len(params)
    denominators = None
    if part.exp_avg_sqs is not None:
        by = rms.factor(_counted(part), step, wide_dtype)
        denominators = rms.denominators(grads, part.exp_avg_sqs, by, step)
        c = rms.scaled(c, by)

    if part.on_host and dtype == buffer_dtype == wide_dtype:
        if step.drags:
            torch._foreach_add_(buffers, params, alpha=step.drag(scale))
        _in_place(params, grads, denominators, buffers, c, step)
    else:
        if denominators is not None:
            grads = torch._foreach_div(grads, denominators)
        wide: Any = [buffer.to(wide_dtype) for buffer in buffers]
        if step.drags:
            drags = torch._foreach_mul([p.to(wide_dtype) for p in params], step.drag(scale))
            wide = torch._foreach_add(wide, drags)
        _rounding_once(params, grads, wide, c, step)
        if wide[0] is not buffers[0]:
            torch._foreach_copy_(buffers, wide)


def _counted(part: Part) -> Any:
    """Return t, including this gradient: one number for all parameters, or a vector."""
    assert part.counts is not None
    if isinstance(part.counts[0], Tensor):
        torch._foreach_add_(part.counts, 1)
        return torch.stack(part.counts)
    count = part.counts[0] + 1
    part.counts = [count] * len(part.params)
    return count


def _in_place(
    params: list[Tensor],
    grads: list[Tensor],
    denominators: list[Tensor] | None,
    buffers: list[Tensor],
    c: Coefficients,
    step: Step,
) -> None:
    def add(tensors: list[Tensor], factor: float) -> None:
        if denominators is None:
            torch._foreach_add_(tensors, grads, alpha=factor)
        else:
            torch._foreach_addcdiv_(tensors, grads, denominators, factor)

    if step.shrinks:
        torch._foreach_mul_(params, 1 - step.shrinkage)
    torch._foreach_add_(params, buffers, alpha=c.theta_momentum)
    add(params, c.theta_gradient)
    torch._foreach_mul_(buffers, c.momentum_momentum)
    add(buffers, c.momentum_gradient)


def _rounding_once(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    c: Coefficients,
    step: Step,
) -> None:
    """Make the step without `alpha`, rounding 16-bit tensors once at the end (see `for_loop`)."""
    updates = torch._foreach_mul(buffers, c.theta_momentum)
    torch._foreach_add_(updates, torch._foreach_mul(grads, _each(c.theta_gradient)))
    if step.shrinks:
        wide = [param.to(update.dtype) for param, update in zip(params, updates, strict=True)]
        torch._foreach_sub_(updates, torch._foreach_mul(wide, step.shrinkage))
    torch._foreach_mul_(buffers, c.momentum_momentum)
    torch._foreach_add_(buffers, torch._foreach_mul(grads, _each(c.momentum_gradient)))
    if step.stochastic_rounding and params[0].dtype in SIXTEEN_BITS:
        for param, update in zip(params, updates, strict=True):
            add_rounded(param, update, stochastic=True)
    else:
        torch._foreach_add_(params, updates)


def _each(scalar: Any) -> Any:
    """Return a vector with one number per tensor as a list, and a single number unchanged."""
    return list(scalar.unbind()) if isinstance(scalar, Tensor) and scalar.ndim else scalar
