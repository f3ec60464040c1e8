r"""The foreach implementation: a few operations on lists of tensors, for any dtype and layout."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from indian_core import Coefficients
from indian_torch.step.precision import SIXTEEN_BITS, add_rounded, working_dtype
from indian_torch.step.scalars import Scale, Step


def _multi_tensor_indian(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    scales: list[Scale],
    *,
    step: Step,
    on_host: bool,
) -> None:
    if step.differentiable:
        raise RuntimeError("`foreach` does not support `differentiable`")
    buckets = defaultdict(list)
    for i, (param, buffer, scale) in enumerate(zip(params, momentum_buffers, scales, strict=True)):
        known_scale = None if isinstance(scale, Tensor) else scale
        buckets[param.device, param.dtype, buffer.dtype, known_scale].append(i)

    for (device, dtype, buffer_dtype, known_scale), indices in buckets.items():
        some_params = [params[i] for i in indices]
        buffers = [momentum_buffers[i] for i in indices]
        wide_dtype = working_dtype(buffer_dtype)
        some_grads: Any = [grads[i].to(wide_dtype) for i in indices]
        if step.l2 != 0:
            some_grads = torch._foreach_add(some_grads, some_params, alpha=step.l2)

        if known_scale is None:
            some_scales: list[Any] = [scales[i] for i in indices]
            # foreach wants its scalars on the device.
            lr = step.lr
            here = step._replace(lr=lr.to(device)) if isinstance(lr, Tensor) else step
            c, new_scale = here.on_buffer(torch.stack(some_scales), wide_dtype)
            torch._foreach_copy_(some_scales, list(new_scale.unbind()))
        else:
            here = step
            c, new_scale = here.on_buffer(known_scale, wide_dtype)
            for i in indices:
                scales[i] = new_scale

        if on_host and dtype == buffer_dtype == wide_dtype:
            _in_place(some_params, some_grads, buffers, c, here)
        else:
            wide = [buffer.to(wide_dtype) for buffer in buffers]
            _rounding_once(some_params, some_grads, wide, c, here)
            if buffer_dtype != wide_dtype:
                torch._foreach_copy_(buffers, wide)


def _in_place(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], c: Coefficients, step: Step
) -> None:
    if step.shrinks:
        torch._foreach_mul_(params, 1 - step.shrinkage)
    torch._foreach_add_(params, buffers, alpha=c.theta_momentum)
    torch._foreach_add_(params, grads, alpha=c.theta_gradient)
    torch._foreach_mul_(buffers, c.momentum_momentum)
    torch._foreach_add_(buffers, grads, alpha=c.momentum_gradient)


def _rounding_once(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    c: Coefficients,
    step: Step,
) -> None:
    """As in the for-loop: no `alpha`, and what has 16 bits is rounded once, at the end."""
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
    """Return a vector with one number per tensor as a list of scalars, and one number as it is."""
    return list(scalar.unbind()) if isinstance(scalar, Tensor) and scalar.ndim else scalar
