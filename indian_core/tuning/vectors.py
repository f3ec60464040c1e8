"""Conversion between a list of arrays and one vector, which an eigensolver needs."""

from __future__ import annotations

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


def split(vector: Array, like: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Return arrays of these shapes whose numbers are in a vector. It is the inverse of `join`.

    Args:
        vector: As many numbers as the arrays have.
        like: Arrays, real or complex.

    Returns:
        Arrays in double precision.

    Examples:
        >>> split(np.arange(4.0), [np.zeros(2), np.zeros(1, complex)])
        [array([0., 1.]), array([2.+3.j])]
    """
    counts = [np.size(each) * (1 + np.iscomplexobj(each)) for each in like]
    parts = np.split(np.ascontiguousarray(vector), np.cumsum(counts, dtype=int))
    return [
        (part.view(np.complex128) if np.iscomplexobj(each) else part).reshape(np.shape(each))
        for part, each in zip(parts, like, strict=False)
    ]


def _reals(numbers: npt.NDArray[Any]) -> Array:
    if np.iscomplexobj(numbers):
        return numbers.astype(np.complex128).view(np.float64)
    return numbers.astype(np.float64)
