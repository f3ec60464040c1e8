r"""The tensors of a step: those that do not fit raise an error before any tensor is written to.

A user, a trainer or autograd may have changed parameters, gradients and momenta since the last
step. They may have another shape, be lazily negated, or be sparse.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from indian_core.arrays import check_fit
from indian_torch import _private

# The tensors of a state that the step works on. Each has its parameter's shape.
BUFFERS = ("momentum_buffer", "exp_avg_sq")
_FUSED_DTYPES = (torch.float32, torch.float64)
_IS_PRESENT = functools.partial(operator.is_not, None)


class Kind(NamedTuple):
    """What parameters have in common that one call of an implementation can step.

    Attributes:
        device: The device.
        dtype: θ's dtype.
        momentum_dtype: The momentum's dtype, or None if there is no momentum.
        fits_kernel: Whether the fused kernels support the tensors.
        fits_foreach: Whether foreach operations support them.
    """

    device: torch.device
    dtype: torch.dtype
    momentum_dtype: torch.dtype | None
    fits_kernel: bool
    fits_foreach: bool


@dataclass(eq=False)
class Layout:
    """Properties of the tensors of a parameter group that do not depend on their numbers.

    Attributes:
        kinds: The indices of the parameters of each kind.
        sparse: Whether a gradient is sparse.
        conjugate: Whether a parameter is lazily conjugated.
        plans: The plans that `indian_torch.step.pieces` made for these tensors.
    """

    kinds: dict[Kind, list[int]]
    sparse: bool
    conjugate: bool = False
    plans: dict[Kind, Any] = field(default_factory=dict)


def examine(
    params: Sequence[Tensor], grads: Sequence[Tensor], *buffers: Sequence[Tensor | None]
) -> Layout:
    """Return the `Layout` of the tensors, or raise if no step can be made on them.

    Args:
        params: θ.
        grads: v.
        *buffers: The momentum buffers, and V if the method has it. None stands for a buffer that
            has to be made.

    Raises:
        ValueError: If shapes or devices differ, if a gradient has an unknown layout or is complex
            while its parameter is real, or if a parameter is sparse or has several elements in one
            place in memory.
    """
    kinds: dict[Kind, list[int]] = defaultdict(list)
    for i, (param, grad, *states) in enumerate(zip(params, grads, *buffers, strict=True)):
        check_param(param)
        check_match("gradient", grad, param)
        present = [each for each in states if each is not None]
        for name, buffer in zip(BUFFERS, states, strict=False):
            if buffer is not None:
                check_match(name, buffer, param)
                check_kind(name, buffer, param)
        plain = not (grad.is_sparse or _is_lazy(grad) or _is_lazy(param))
        momentum_dtype = None if states[0] is None else states[0].dtype
        fits = plain and _fit(param, grad, *present)
        kinds[Kind(param.device, param.dtype, momentum_dtype, fits, plain)].append(i)
    sparse = any(grad.is_sparse for grad in grads)
    return Layout(dict(kinds), sparse, any(param.is_conj() for param in params))


def examine_compiled(
    params: Sequence[Tensor], grads: Sequence[Tensor], *buffers: Sequence[Tensor | None]
) -> Layout:
    """Return what `examine` returns, as far as it matters to a compiled step."""
    kinds: dict[Kind, list[int]] = defaultdict(list)
    for i, (param, grad, *states) in enumerate(zip(params, grads, *buffers, strict=True)):
        check_match("gradient", grad, param)
        dtype = None if states[0] is None else states[0].dtype
        kinds[Kind(param.device, param.dtype, dtype, False, not grad.is_sparse)].append(i)
    return Layout(dict(kinds), any(grad.is_sparse for grad in grads))


class Examiner:
    """`examine`, with a result that is kept as long as the tensors stay alike.

    On a thousand small tensors the examination would take longer than the step.
    """

    def __init__(self) -> None:
        self._count = -1
        self._alike: Callable[..., bool]
        self._layout: Layout

    def __call__(
        self, params: Sequence[Tensor], grads: Sequence[Tensor], *buffers: Sequence[Tensor | None]
    ) -> Layout:
        """Return the same as `examine`."""
        states = filter(_IS_PRESENT, itertools.chain(*buffers))
        tensors: list[Any] = [*params, *grads, *states]
        if len(tensors) == self._count and self._alike(*tensors):
            return self._layout
        self._count = -1
        layout = examine(params, grads, *buffers)
        if all(kind.fits_kernel for kind in layout.kinds):
            alike = _private.likeness(tensors)
            if alike is not None:
                self._count, self._alike, self._layout = len(tensors), alike, layout
        return layout


def check_tensor(name: str, tensor: Tensor, param: Tensor) -> None:
    """Raise unless a tensor has its parameter's shape, and is real if the parameter is."""
    is_real = param.is_complex() or not tensor.is_complex()
    check_fit(name, tensor.shape, param.shape, is_real=is_real)


def check_kind(name: str, buffer: Tensor, param: Tensor) -> None:
    """Raise if a buffer is real and its parameter is complex."""
    if param.is_complex() and not buffer.is_complex():
        raise ValueError(f"Invalid {name}: it is real, but the parameter is complex")


def check_match(name: str, tensor: Tensor, param: Tensor) -> None:
    """Raise unless a tensor fits its parameter, lies on its device, and can be added to it."""
    check_tensor(name, tensor, param)
    if tensor.device != param.device:
        raise ValueError(
            f"Invalid {name}: it is on {tensor.device}, but the parameter is on {param.device}"
        )
    if tensor.layout not in (torch.strided, torch.sparse_coo):
        raise ValueError(f"Invalid {name}: {tensor.layout} (it must be dense or sparse_coo)")


def check_param(param: Tensor) -> None:
    """Raise if a parameter is sparse, or is expanded, so that elements share one place in memory.

    Raises:
        ValueError: In either case.
    """
    if param.layout != torch.strided:
        raise ValueError(f"Invalid parameter: {param.layout} (it must be dense)")
    if not param.is_contiguous() and any(
        n > 1 and step == 0 for n, step in zip(param.shape, param.stride(), strict=True)
    ):
        raise ValueError(
            f"Invalid parameter: shape {tuple(param.shape)} with strides {param.stride()} puts "
            "several elements in one place in memory: clone() it"
        )


def _is_lazy(tensor: Tensor) -> bool:
    """Return whether PyTorch holds a tensor as another one's negative or conjugate, or as zeros."""
    return tensor.is_neg() or tensor.is_conj() or _private.is_zero_tensor(tensor)


def _fit(*tensors: Tensor) -> bool:
    """Return whether the kernel may traverse a parameter, its gradient and its buffers together.

    A buffer is dense by construction, so with equal strides all the tensors are dense. (Strides of
    dimensions of size 1 may differ between contiguous tensors.)
    """
    param = tensors[0]
    return (
        _private.native_types.issuperset(map(type, tensors))
        and param.dtype in _FUSED_DTYPES
        and all(each.dtype == param.dtype for each in tensors)
        and (
            all(each.is_contiguous() for each in tensors)
            or all(each.stride() == param.stride() for each in tensors)
        )
    )
