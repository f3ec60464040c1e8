"""Copies of gradients that share memory with what a step changes, or are not plain memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

Tensors = list[torch.Tensor]


def in_own_memory(gradients: Sequence[torch.Tensor], changing: Tensors) -> Tensors:
    """Return the gradients, with copies of those that a step would change or cannot read.

    A step would change the gradients that share memory with the tensors it changes. It cannot read
    those that are not plain memory: sparse, lazily negated or conjugated, or views with gaps.
    """
    tensors = list(gradients)
    if not (
        {v.layout for v in tensors} <= {torch.strided}
        and all(map(torch.Tensor.is_contiguous, tensors))
        and not any(map(torch.Tensor.is_neg, tensors))
        and not any(map(torch.Tensor.is_conj, tensors))
    ):
        tensors = [_plain(v) for v in tensors]
    starts, ends = _extents(changing, all(map(torch.Tensor.is_contiguous, changing)))
    order = np.argsort(starts)
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    v_starts, v_ends = _extents(tensors, contiguous=True)
    # Of all tensors that start before a gradient ends, the one that reaches farthest.
    last = np.searchsorted(starts, v_ends) - 1
    shared = (last >= 0) & (ends[last] > v_starts) & (v_ends > v_starts)
    for i in np.flatnonzero(shared):
        tensors[i] = tensors[i].clone()
    return tensors


def _plain(v: torch.Tensor) -> torch.Tensor:
    if v.layout != torch.strided:
        v = v.to_dense()
    return v.resolve_conj().resolve_neg().contiguous()


def _extents(
    tensors: Tensors, contiguous: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return where the tensors begin and end in memory."""
    try:
        starts = np.fromiter(map(torch.Tensor.data_ptr, tensors), np.int64, len(tensors))
    except RuntimeError:  # (Tensors of a FakeTensorMode have no memory.)
        starts = np.zeros(len(tensors), np.int64)
    sizes = (t.nbytes if contiguous else _span(t) for t in tensors)
    return starts, starts + np.fromiter(sizes, np.int64, len(tensors))


def _span(t: torch.Tensor) -> int:
    if t.numel() == 0:
        return 0
    steps = zip(t.shape, t.stride(), strict=True)
    return t.element_size() * (1 + sum((n - 1) * stride for n, stride in steps))
