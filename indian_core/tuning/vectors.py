"""Conversion between a list of arrays and one vector, which an eigensolver needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def join(arrays: Iterable[npt.ArrayLike]) -> Array:
    """Return all numbers as one vector. A complex number becomes its real and imaginary parts.

    Args:
        arrays: Real or complex arrays.

    Examples:
        >>> join([[1.0, 2.0], [3.0 + 4.0j]])
        array([1., 2., 3., 4.])
    """
    return np.concatenate([np.empty(0), *(_reals(np.ravel(each)) for each in arrays)])


def split(
    vector: Array, shapes: Sequence[tuple[int, ...]], are_complex: Sequence[bool] = ()
) -> list[npt.NDArray[Any]]:
    """Return the arrays of these shapes whose numbers are in a vector. It is the inverse of `join`.

    Args:
        vector: The numbers of the arrays.
        shapes: The shape of each array.
        are_complex: Whether each array is complex. Empty, the default, means that none is.

    Raises:
        ValueError: If the vector has more or fewer numbers than the arrays.

    Examples:
        >>> split(np.arange(4.0), [(2,), (1,)], [False, True])
        [array([0., 1.]), array([2.+3.j])]
    """
    kinds = are_complex if len(are_complex) else [False] * len(shapes)
    counts = [
        math.prod(shape) * (2 if is_complex else 1)
        for shape, is_complex in zip(shapes, kinds, strict=True)
    ]
    if sum(counts) != vector.size:
        raise ValueError(f"Invalid vector: {vector.size} numbers (they must be {sum(counts)})")
    parts = np.split(np.ascontiguousarray(vector), np.cumsum(counts, dtype=int))[:-1]
    return [
        (part.view(np.complex128) if is_complex else part).reshape(shape)
        for part, shape, is_complex in zip(parts, shapes, kinds, strict=True)
    ]


def _reals(numbers: npt.NDArray[Any]) -> Array:
    if np.iscomplexobj(numbers):
        return numbers.astype(np.complex128).view(np.float64)
    return numbers.astype(np.float64)
