"""Checks of a file's whole state, before any of it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops


def checked_state(store: Mapping[str, Any], variables: Sequence[Any], name: str) -> dict[str, Any]:
    """Return the entries of a file as tensors of the variables' dtypes.

    Any numbers that a run can reach are loaded, NaN and infinite ones too.

    Args:
        store: The arrays of the file, by the index of their variable.
        variables: The optimizer's variables.
        name: The optimizer's name, for the error text.

    Raises:
        ValueError: If an entry is missing, has another shape than its variable, or does not hold
            numbers of its variable's kind.
    """
    state: dict[str, Any] = {}
    for index, variable in enumerate(variables):
        key = str(index)
        value = np.asarray(store[key]) if key in store else None
        problem = "is missing" if value is None else _problem(value, variable)
        if problem:
            raise ValueError(
                f"Invalid state of optimizer {name!r}: entry {key} of the file, for "
                f"{variable.path!r}, {problem}. The file is of another model or optimizer. The "
                "optimizer is left as it was (Keras loads a model's weights before its optimizer)"
            )
        state[key] = ops.convert_to_tensor(value, dtype=variable.dtype)
    return state


def _problem(value: np.ndarray[Any, Any], variable: Any) -> str:
    """Return what is wrong with an entry, or an empty string."""
    if value.shape != tuple(variable.shape):
        return f"has the shape {value.shape}, not {tuple(variable.shape)}"
    kind = "complex128" if "complex" in variable.dtype else "float64"
    try:  # NumPy does not know bfloat16, but it casts it.
        value.astype(kind, casting="same_kind")
    except TypeError:
        return f"is of dtype {value.dtype}, not {variable.dtype}"
    return ""
