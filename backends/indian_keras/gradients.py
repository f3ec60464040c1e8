"""Checks of the arrays that users give for a variable, before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from indian_core.arrays import check_fit


def checked_gradients(gradients: Sequence[Any], variables: Sequence[Any]) -> list[Any]:
    """Return the gradients as tensors, or raise if one does not fit its variable.

    Raises:
        ValueError: If there are more or fewer gradients than variables, or as in
            `check_array`.
    """
    if len(gradients) != len(variables):
        raise ValueError(f"Invalid gradients: {len(gradients)} for {len(variables)} variables")
    tensors = [None if gradient is None else _tensor(gradient) for gradient in gradients]
    for tensor, variable in zip(tensors, variables, strict=True):
        if tensor is not None:
            check_array("gradient", tensor, variable)
    return tensors


def _tensor(gradient: Any) -> Any:
    if isinstance(gradient, list | tuple):
        gradient = np.asarray(gradient)  # Keras would round it to floatx.
    # An Embedding's gradient may be sparse, but a momentum is not.
    if type(gradient).__name__ == "IndexedSlices":
        import tensorflow as tf  # noqa: PLC0415

        return tf.convert_to_tensor(gradient)
    return ops.convert_to_tensor(gradient, sparse=False)


def check_array(name: str, array: Any, variable: Any) -> None:
    """Raise unless an array fits its variable. It would be broadcast, or read past its end.

    Raises:
        ValueError: If it has another shape than the variable, or is complex while the variable is
            real.
    """
    shape, expected = array.shape, variable.shape
    # On TensorFlow a shape may be partly unknown in a graph.
    if hasattr(shape, "is_compatible_with") and shape.is_compatible_with(expected):
        shape = expected
    is_real = "complex" in str(variable.dtype) or "complex" not in str(array.dtype)
    check_fit(f"{name} of {path_of(variable)!r}", shape, expected, is_real=is_real)


def path_of(variable: Any) -> str:
    """Return a variable's path for error texts, or its name, since a tf.Variable has no path."""
    return str(getattr(variable, "path", variable.name))
