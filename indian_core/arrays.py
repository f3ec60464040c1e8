"""Checks of the arrays that users hand over: a loss, a gradient, ψ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def check_fit(
    name: str, shape: Sequence[int], expected: Sequence[int], *, is_real: bool = True
) -> None:
    """Raise unless an array fits its parameter. A framework would broadcast it, or drop a part.

    Args:
        name: What the array is, for the error text.
        shape: The shape of the array.
        expected: The shape of the parameter.
        is_real: Whether the array has real numbers, or the parameter has complex ones.

    Raises:
        ValueError: If the shapes differ, or a complex array is given for a real parameter.

    Examples:
        >>> check_fit("gradient", (1,), (3,))
        Traceback (most recent call last):
        ValueError: Invalid gradient: its shape is (1,), but the parameter's is (3,)
    """
    if tuple(shape) != tuple(expected):
        raise ValueError(
            f"Invalid {name}: its shape is {tuple(shape)}, but the parameter's is {tuple(expected)}"
        )
    if not is_real:
        raise ValueError(f"Invalid {name}: it is complex, but the parameter is real")


def check_loss(shape: Sequence[int], dtype: Any, *, is_real: bool) -> None:
    """Raise unless a loss is a real scalar.

    Args:
        shape: The shape of the loss.
        dtype: The dtype of the loss, for the error text.
        is_real: Whether the dtype is real.

    Raises:
        ValueError: If the dtype is not real, or the loss does not have exactly one number.

    Examples:
        >>> check_loss((2,), "float32", is_real=True)
        Traceback (most recent call last):
        ValueError: Invalid loss: shape (2,), float32 (it must be a real scalar)
    """
    if None in shape or math.prod(shape) != 1 or not is_real:
        raise ValueError(f"Invalid loss: shape {tuple(shape)}, {dtype} (it must be a real scalar)")
