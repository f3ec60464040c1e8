"""The slots, which are an optimizer's variables that lie where its model's variables lie."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from indian_keras import _private
from indian_keras.gradients import path_of

_WIDE = {"float16": "float32", "bfloat16": "float32"}
_REAL = {"complex64": "float32", "complex128": "float64"}


def slot_dtype(variable: Any) -> str:
    """Return the dtype of a variable's slots: its own, but of at least 32 bits."""
    dtype = str(keras.backend.standardize_dtype(variable.dtype))
    return _WIDE.get(dtype, dtype)


def new_slot(optimizer: Any, variable: Any, name: str, *, real: bool) -> Any:
    """Add a slot of zeros for a variable to an optimizer.

    Args:
        optimizer: The optimizer.
        variable: The variable, Keras's or TensorFlow's.
        name: The slot's name, before which the variable's path is put, as in Keras.
        real: Whether the slot of a complex variable is real.

    Returns:
        The slot, of the variable's shape and layout, in its `slot_dtype`.
    """
    dtype = slot_dtype(variable)
    path = path_of(variable).replace("/", "_").replace(":", "_")
    layout = _private.layout(variable)
    with _beside(variable):
        return optimizer.add_variable(
            shape=variable.shape,
            dtype=_REAL.get(dtype, dtype) if real else dtype,
            name=f"{path}_{name}",
            **({} if layout is None else {"layout": layout}),
        )


def _beside(variable: Any) -> AbstractContextManager[Any]:
    """Return the scope in which TensorFlow creates a variable on another one's devices."""
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    import tensorflow as tf  # noqa: PLC0415

    value = variable.value if isinstance(variable, keras.Variable) else variable
    scope: AbstractContextManager[Any] = tf.distribute.get_strategy().extended.colocate_vars_with(
        value
    )
    return scope
