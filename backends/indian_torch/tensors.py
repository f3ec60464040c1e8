r"""The tensors of a step: what cannot be used is refused, before any of them is written to.

Parameters, gradients and momenta may be anything that a user, a trainer or autograd made of them:
of another shape than at the last step, lazily negated, or in one another's memory.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from indian_torch import _private

if TYPE_CHECKING:
    from indian_torch.dispatch import Part

_FUSED_DTYPES = (torch.float32, torch.float64)
Kind = tuple[torch.device, torch.dtype]
Spans = npt.NDArray[np.int64]


@dataclass(eq=False)
class Layout:
    """What the tensors of a parameter group are like, whatever numbers they hold.

    Attributes:
        sparse: Whether a gradient is sparse.
        lazy: Which gradients PyTorch holds as the negative or conjugate of another tensor, or as
            zeros without memory.
        lazy_param: Whether a parameter is such a tensor, which foreach operations do not take.
        fused: Which parameters the fused kernel can take, by device and dtype.
        native: Whether all have memory that may be asked for.
        param_spans: How many bytes of memory each parameter reaches over, if native.
        grad_spans: Likewise each gradient.
    """

    sparse: bool
    lazy: Sequence[int]
    lazy_param: bool
    fused: dict[Kind, list[int]]
    native: bool
    param_spans: Spans
    grad_spans: Spans


def examine(
    params: Sequence[Tensor], grads: Sequence[Tensor], buffers: Sequence[Tensor | None]
) -> Layout:
    """Raise unless a step can be made on these tensors; else return what they are like.

    Args:
        params: θ.
        grads: v.
        buffers: The momentum buffers, None for those that have to be made.

    Raises:
        ValueError: If shapes or devices differ, a gradient is complex for a real parameter or of
            an unknown layout, or a parameter is sparse or lies in its own memory twice.
    """
    lazy: list[int] = []
    fused: dict[Kind, list[int]] = defaultdict(list)
    lazy_param = False
    for i, (param, grad, buffer) in enumerate(zip(params, grads, buffers, strict=True)):
        check_param(param)
        check_match("gradient", grad, param)
        if grad.is_complex() and not param.is_complex():
            raise ValueError(f"Invalid gradient: it is {grad.dtype}, for {param.dtype}")
        if buffer is not None:
            check_match("momentum_buffer", buffer, param)
            if buffer.is_complex() != param.is_complex():
                raise ValueError(
                    f"Invalid momentum_buffer: it is {buffer.dtype}, for {param.dtype}"
                )
        lazy_grad = _is_lazy(grad)
        if lazy_grad:
            lazy.append(i)
        lazy_here = _is_lazy(param)
        lazy_param |= lazy_here
        if not (lazy_grad or lazy_here or buffer is None) and _fit(param, grad, buffer):
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
    """`examine`, whose answer is kept as long as the tensors are alike.

    On a thousand small tensors the questions would take longer than the step.
    """

    def __init__(self) -> None:
        self._count = -1
        self._alike: Callable[..., bool]
        self._layout: Layout

    def known(self, tensors: Sequence[Any]) -> Layout | None:
        """Return the answer if it is known. The tensors are those of `__call__` in one list."""
        return self._layout if len(tensors) == self._count and self._alike(*tensors) else None

    def __call__(
        self, params: Sequence[Tensor], grads: Sequence[Tensor], buffers: Sequence[Tensor | None]
    ) -> Layout:
        """Do as `examine` does."""
        tensors: list[Any] = [*params, *grads, *buffers]
        layout = self.known(tensors)
        if layout is not None:
            return layout
        self._count = -1
        layout = examine(params, grads, buffers)
        if layout.native and not layout.sparse and all(each is not None for each in buffers):
            alike = _private.likeness(tensors)
            if alike is not None:
                self._count, self._alike, self._layout = len(tensors), alike, layout
        return layout


class Separator:
    """Replace the gradients that a step would change or cannot take, in their lists, by copies.

    Those are the gradients in the memory of a parameter, of whichever group, and the lazy ones.
    As long as all tensors are where they were, it is known which they are.
    """

    def __init__(self) -> None:
        self._layouts: list[Layout] = []
        self._addresses: list[int] = []
        self._shared: list[list[int]] = []

    def __call__(self, parts: Sequence[Part]) -> None:
        """Replace the gradients of these parts of a step."""
        columns = [(part.params, part.grads, part.layout) for part in parts if part.layout]
        for _, grads, layout in columns:
            for i in layout.lazy:
                grads[i] = grads[i].resolve_conj().resolve_neg().clone()
        columns = [column for column in columns if column[2].native and column[0]]
        layouts = [layout for _, _, layout in columns]
        addresses: list[int] = []
        for params, grads, layout in columns:
            addresses += map(Tensor.data_ptr, params)
            addresses += map(Tensor.data_ptr, _memory(grads) if layout.sparse else grads)
        if layouts != self._layouts or addresses != self._addresses:
            self._shared = _in_parameters(layouts, np.array(addresses, np.int64))
            self._layouts, self._addresses = layouts, addresses
        for (_, grads, _), shared in zip(columns, self._shared, strict=True):
            for i in shared:
                grads[i] = grads[i].clone()


def _in_parameters(layouts: Sequence[Layout], addresses: Spans) -> list[list[int]]:
    """Return, for each layout, which gradients lie in the memory of any parameter.

    Args:
        layouts: The layouts of the groups.
        addresses: The addresses of each group's parameters and gradients.
    """
    if not layouts:
        return []
    counts = [layout.param_spans.size for layout in layouts for _ in range(2)]
    columns = np.split(addresses, np.cumsum(counts)[:-1])
    starts = np.concatenate(columns[::2])
    order = np.argsort(starts)
    spans = np.concatenate([layout.param_spans for layout in layouts])
    # Parameters may overlap one another (tied ones): what counts is the last end so far.
    ends = np.maximum.accumulate((starts + spans)[order])
    starts = starts[order]
    found = []
    for layout, first in zip(layouts, columns[1::2], strict=True):
        before = np.searchsorted(starts, first + layout.grad_spans)
        # Without a parameter that starts before its end, [-1] is compared, to no effect.
        shared = (before > 0) & (ends[before - 1] > first) & (first != 0)
        found.append(np.flatnonzero(shared).tolist())
    return found


def check_match(name: str, tensor: Tensor, param: Tensor) -> None:
    """Raise unless a tensor has its parameter's shape and device, and a layout that can be added.

    PyTorch would broadcast: a gradient of one element fits any parameter.
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
    # Not nested like boxes: count the places.
    places = np.zeros(1, np.int64)
    for n, step in dims:
        places = np.unique(np.add.outer(places, step * np.arange(n)))
    return places.size < tensor.numel()


def _is_lazy(tensor: Tensor) -> bool:
    return tensor.is_neg() or tensor.is_conj() or _private.is_zero_tensor(tensor)


def _fit(*three: Tensor) -> bool:
    """Return whether the kernel may walk a parameter, its gradient and its buffer side by side.

    A buffer is dense by construction, so with equal strides all three are. (Strides of dimensions
    of size 1 may differ between tensors that are contiguous all the same.)
    """
    param = three[0]
    return (
        _private.native_types.issuperset(map(type, three))
        and param.dtype in _FUSED_DTYPES
        and all(each.dtype == param.dtype and each.layout == torch.strided for each in three)
        and (
            all(each.is_contiguous() for each in three)
            or all(each.stride() == param.stride() for each in three)
        )
    )


def _memory(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the dense tensors that hold the numbers."""
    return [_private.values(tensor) if tensor.is_sparse else tensor for tensor in tensors]


def _spans(tensors: Sequence[Tensor]) -> Spans:
    def span(tensor: Tensor) -> int:
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        last = sum((n - 1) * step for n, step in steps)
        return (last + 1) * tensor.element_size() if tensor.numel() else 0

    return np.fromiter(map(span, tensors), np.int64, len(tensors))
