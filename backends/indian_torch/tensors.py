r"""The tensors of a step: invalid tensors raise an error before any tensor is written to.

A user, a trainer or autograd may have changed parameters, gradients and momenta since the last
step. They may have another shape, be lazily negated, or share memory with one another.
"""

from __future__ import annotations

import itertools
import operator
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from indian_torch import _private

if TYPE_CHECKING:
    from indian_torch.step.part import Part

# The tensors of a state that the step works on. Each has its parameter's shape.
BUFFERS = ("momentum_buffer", "exp_avg_sq")
_FUSED_DTYPES = (torch.float32, torch.float64)
Kind = tuple[torch.device, torch.dtype]
# From this number of tensors on, NumPy is faster than Python.
_MANY = 100


@dataclass(eq=False)
class Layout:
    """Properties of the tensors of a parameter group that do not depend on their numbers.

    Attributes:
        sparse: Whether a gradient is sparse.
        lazy: The indices of the gradients that PyTorch holds as the negative or conjugate of
            another tensor, or as zeros without memory.
        lazy_param: Whether a parameter is such a tensor. Foreach operations do not support those.
        fused: The indices of the parameters that the fused kernel supports, by device and dtype.
        native: Whether the memory address of every tensor can be read.
        param_spans: The number of bytes of memory that each parameter spans, if native.
        grad_spans: The number of bytes of memory that each gradient spans, if native.
        plans: The plans that `indian_torch.step.pieces` made for these tensors.
    """

    sparse: bool
    lazy: Sequence[int]
    lazy_param: bool
    fused: dict[Kind, list[int]]
    native: bool
    param_spans: list[int]
    grad_spans: list[int]
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
            while its parameter is real, or if a parameter is sparse or overlaps itself in memory.
    """
    lazy: list[int] = []
    fused: dict[Kind, list[int]] = defaultdict(list)
    lazy_param = False
    for i, (param, grad, *states) in enumerate(zip(params, grads, *buffers, strict=True)):
        check_param(param)
        check_match("gradient", grad, param)
        if grad.is_complex() and not param.is_complex():
            raise ValueError(f"Invalid gradient: it is {grad.dtype}, for {param.dtype}")
        for name, buffer in zip(BUFFERS, states, strict=False):
            if buffer is None:
                continue
            check_match(name, buffer, param)
            if buffer.is_complex() != param.is_complex():
                raise ValueError(f"Invalid {name}: it is {buffer.dtype}, for {param.dtype}")
        lazy_grad = _is_lazy(grad)
        if lazy_grad:
            lazy.append(i)
        lazy_here = _is_lazy(param)
        lazy_param |= lazy_here
        if not (lazy_grad or lazy_here or any(state is None for state in states)) and _fit(
            param, grad, *states
        ):
            fused[param.device, param.dtype].append(i)
    native = _private.native_types.issuperset(map(type, [*params, *grads]))
    return Layout(
        sparse=any(grad.is_sparse for grad in grads),
        lazy=lazy,
        lazy_param=lazy_param,
        fused=dict(fused),
        native=native,
        param_spans=_spans(params if native else ()),
        grad_spans=_spans(_memory(grads) if native else ()),
    )


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
        states = list(itertools.chain(*buffers))
        tensors: list[Any] = [*params, *grads, *states]
        if len(tensors) == self._count and self._alike(*tensors):
            return self._layout
        self._count = -1
        layout = examine(params, grads, *buffers)
        if layout.native and not layout.sparse and all(each is not None for each in states):
            alike = _private.likeness(tensors)
            if alike is not None:
                self._count, self._alike, self._layout = len(tensors), alike, layout
        return layout


class Separator:
    """Replace, in their lists, the gradients that a step would change or cannot use by copies.

    These are the gradients that share memory with a parameter of any group, and the lazy gradients.
    The result of the search is reused as long as no tensor has moved in memory.
    """

    def __init__(self) -> None:
        self._layouts: list[Layout] = []
        self._params: list[int] = []
        self._grads: list[int] = []
        self._shared: list[int] = []

    def __call__(self, parts: Sequence[Part]) -> None:
        """Replace the gradients of these parts of a step."""
        native, layouts = [], []
        params: list[int] = []
        grads: list[int] = []
        for part in parts:
            layout = part.layout
            assert layout is not None
            for i in layout.lazy:
                part.grads[i] = part.grads[i].resolve_conj().resolve_neg().clone()
            if layout.native:
                native.append(part)
                layouts.append(layout)
                params += map(Tensor.data_ptr, part.params)
                grads += map(Tensor.data_ptr, _memory(part.grads) if layout.sparse else part.grads)
        moved = layouts != self._layouts or params != self._params
        if moved:
            self._learn(layouts, params)
        if moved or grads != self._grads:
            self._grads, self._shared = grads, self._in_parameters(grads)
        if self._shared:
            places = [(part.grads, i) for part in native for i in range(len(part.grads))]
            for column, i in map(places.__getitem__, self._shared):
                column[i] = column[i].clone()

    def _learn(self, layouts: list[Layout], params: list[int]) -> None:
        """Store the starts and ends of all parameters' memory, in order of address."""
        self._layouts, self._params = layouts, params
        self._spans = list(itertools.chain.from_iterable(each.grad_spans for each in layouts))
        spans = itertools.chain.from_iterable(each.param_spans for each in layouts)
        memory = sorted(zip(params, spans, strict=True))
        self._starts = [start for start, _ in memory]
        # Parameters may overlap one another (tied ones), so take the largest end so far.
        ends = itertools.accumulate((start + span for start, span in memory), max, initial=0)
        self._ends = list(ends)
        self._arrays = [np.array(each) for each in (self._starts, self._ends, self._spans)]

    def _in_parameters(self, grads: list[int]) -> list[int]:
        """Return the indices of the gradients (by address) that lie in a parameter's memory."""
        if len(grads) < _MANY:
            starts, ends = self._starts, self._ends
            return [
                i
                for i, (grad, span) in enumerate(zip(grads, self._spans, strict=True))
                if ends[bisect_left(starts, grad + span)] > grad != 0
            ]
        first = np.array(grads)
        begin, end, spans = self._arrays
        shared = (end[np.searchsorted(begin, first + spans)] > first) & (first != 0)
        return np.flatnonzero(shared).tolist()


def check_match(name: str, tensor: Tensor, param: Tensor) -> None:
    """Raise unless a tensor has its parameter's shape and device, and a layout that can be added.

    PyTorch alone would broadcast, for example, a gradient of one element to any parameter.
    """
    if tensor.shape != param.shape:
        raise ValueError(
            f"Invalid {name}: its shape is {tuple(tensor.shape)}, "
            f"but the parameter's is {tuple(param.shape)}"
        )
    if tensor.device != param.device:
        raise ValueError(
            f"Invalid {name}: it is on {tensor.device}, but the parameter is on {param.device}"
        )
    if tensor.layout not in (torch.strided, torch.sparse_coo):
        raise ValueError(f"Invalid {name}: {tensor.layout} (it must be dense or sparse_coo)")


def check_param(param: Tensor) -> None:
    """Raise if a parameter is sparse, or has two elements in one place in memory.

    Raises:
        ValueError: In either case.
    """
    if param.layout != torch.strided:
        raise ValueError(f"Invalid parameter: {param.layout} (it must be dense)")
    if not param.is_contiguous() and _overlaps_itself(param):
        raise ValueError(
            f"Invalid parameter: shape {tuple(param.shape)} with strides {param.stride()} puts "
            "several elements in one place in memory: clone() it"
        )


def _overlaps_itself(tensor: Tensor) -> bool:
    dims = [(n, step) for n, step in zip(tensor.shape, tensor.stride(), strict=True) if n > 1]
    if any(step == 0 for _, step in dims):
        return True
    reach: int = 0
    for n, step in sorted(dims, key=operator.itemgetter(1)):
        if step <= reach:
            break
        reach += (n - 1) * step
    else:
        return False
    # The dimensions are not nested in one another, so count the places in memory.
    places = np.zeros(1, np.int64)
    for n, step in dims:
        places = np.unique(np.add.outer(places, step * np.arange(n)))
    return places.size < tensor.numel()


def _is_lazy(tensor: Tensor) -> bool:
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
        and all(each.dtype == param.dtype and each.layout == torch.strided for each in tensors)
        and (
            all(each.is_contiguous() for each in tensors)
            or all(each.stride() == param.stride() for each in tensors)
        )
    )


def _memory(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the dense tensors that hold the numbers of these tensors."""
    return [_private.values(tensor) if tensor.is_sparse else tensor for tensor in tensors]


def _spans(tensors: Sequence[Tensor]) -> list[int]:
    def span(tensor: Tensor) -> int:
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        last = sum((n - 1) * step for n, step in steps)
        return (last + 1) * tensor.element_size() if tensor.numel() else 0

    return list(map(span, tensors))
