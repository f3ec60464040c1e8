"""Checks of the gradients that users give, before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def checked_gradients(gradients: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """Return the gradients as tensors, or raise if one does not fit its variable.

    Without this check a gradient of a wrong shape would be broadcast, or read past its end. Sparse
    gradients stay sparse.

    Raises:
        ValueError: If there are more or fewer gradients than variables, or if a gradient has
            another shape than its variable, or is complex while the variable is real.
    """
    if len(gradients) != len(variables):
        raise ValueError(f"Invalid gradients: {len(gradients)} for {len(variables)} variables")
    return [
        None if gradient is None else _checked(gradient, variable)
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def _checked(gradient: Any, variable: Any) -> Any:
    if isinstance(gradient, list | tuple):
        gradient = np.asarray(gradient)  # Keras would round it to floatx.
    if type(gradient).__name__ != "IndexedSlices" and not ops.is_tensor(gradient):
        gradient = ops.convert_to_tensor(gradient)
    # An IndexedSlices with Python's own numbers for its shape has no `shape`.
    given = getattr(gradient, "dense_shape", None)
    shape = given if isinstance(given, list | tuple) else gradient.shape
    expected = variable.shape
    # On TensorFlow a shape may be partly unknown in a graph. Its AutoGraph does not support :=.
    if hasattr(shape, "is_compatible_with"):
        fits = shape.is_compatible_with(expected)
    else:
        shape = tuple(shape)
        fits = shape == tuple(expected)
    if not fits:
        raise ValueError(
            f"Invalid gradient: its shape is {shape}, but that of the variable "
            f"{path_of(variable)!r} is {tuple(expected)}"
        )
    refuse_complex("gradient", gradient, variable)
    return gradient


def refuse_complex(name: str, value: Any, variable: Any) -> None:
    """Raise if an array is complex and its variable is real."""
    if _is_complex(value.dtype) and not _is_complex(variable.dtype):
        raise ValueError(
            f"Invalid {name}: its dtype is {keras.backend.standardize_dtype(value.dtype)}, but "
            f"that of the variable {path_of(variable)!r} is "
            f"{keras.backend.standardize_dtype(variable.dtype)}"
        )


def _is_complex(dtype: Any) -> bool:
    known = getattr(dtype, "is_complex", None)  # PyTorch's and TensorFlow's dtypes have it.
    return "complex" in str(dtype) if known is None else bool(known)


def path_of(variable: Any) -> str:
    """Return a variable's path for error texts, or its name, since a tf.Variable has no path."""
    return str(getattr(variable, "path", variable.name))
