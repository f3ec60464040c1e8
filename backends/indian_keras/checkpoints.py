"""Checks of a file's whole state, before any of it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops


def checked_state(store: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    """Return the entries of a file as tensors of the optimizer's variables' dtypes.

    Raises:
        ValueError: If an entry is missing, has another shape than its variable, does not hold
            numbers of its variable's kind or is not finite, or if the entries do not go together.
    """
    state: dict[str, Any] = {}
    arrays: dict[int, tuple[str, np.ndarray[Any, Any]]] = {}
    for index, variable in enumerate(optimizer.variables):
        key = str(index)
        value = np.asarray(store[key]) if key in store else None
        problem = "is missing" if value is None else _problem(value, variable, optimizer)
        if problem or value is None:
            raise _error(optimizer, f"entry {key} of the file, for {variable.path!r}, {problem}")
        state[key] = ops.convert_to_tensor(value, dtype=variable.dtype)
        arrays[id(variable)] = key, value
    for name, counter, slots, words in (
        ("w", optimizer.begun, optimizer.momentums, "its run has not begun"),
        ("V", optimizer.count, optimizer.velocities, "it has counted no gradients"),
    ):
        if counter is None or arrays[id(counter)][1]:
            continue
        for key, value in (arrays[id(slot)] for slot in slots if slot is not None):
            if np.any(value):
                raise _error(optimizer, f"{words}, but its entry {key}, {name}, is not zero")
    return state


def _error(optimizer: Any, problem: str) -> ValueError:
    return ValueError(
        f"Cannot load the state of optimizer {optimizer.name!r}: {problem}. The file is of another "
        "model or optimizer, or damaged. The optimizer is left as it was (of a model's file, the "
        "model's weights are loaded before the optimizer)"
    )


def _problem(value: np.ndarray[Any, Any], variable: Any, optimizer: Any) -> str:
    """Return what is wrong with an entry, or an empty string."""
    if value.shape != tuple(variable.shape):
        return f"has the shape {value.shape}, not {tuple(variable.shape)}"
    kind = "complex128" if "complex" in variable.dtype else "float64"
    try:  # (NumPy does not know bfloat16, but it casts it.)
        numbers = value.astype(kind, casting="same_kind")
    except TypeError:
        return f"is of dtype {value.dtype}, not {variable.dtype}"
    if not np.isfinite(numbers).all():
        return "is NaN or infinite"
    if any(variable is slot for slot in optimizer.velocities or ()) and (numbers < 0).any():
        return "has numbers below zero, which no mean of squares has"
    wrong = ""
    if variable is optimizer.begun and numbers not in (0, 1):
        wrong = "neither 0 nor 1"
    elif "int" in variable.dtype and (numbers < 0 or numbers != np.floor(numbers)):
        wrong = "no count"
    elif variable is optimizer._learning_rate and numbers < 0:
        wrong = "a negative learning rate"
    return f"is {numbers}, {wrong}" if wrong else ""
