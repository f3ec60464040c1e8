"""What the backends are given: the scalars of a step, and each variable with its slots."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from indian_core import Coefficients

_WIDE = {"float16": "float32", "bfloat16": "float32"}
_REAL = {"complex64": "float32", "complex128": "float64"}


def slot_dtype(dtype: Any, *, real: bool = False) -> str:
    """Return the dtype of a variable's slots: its own, but of at least 32 bits.

    Args:
        dtype: The variable's dtype.
        real: Whether the slots of a complex variable are real.
    """
    name = str(keras.backend.standardize_dtype(dtype))
    name = _WIDE.get(name, name)
    return _REAL.get(name, name) if real else name


class Scaling(NamedTuple):
    """How gradients are scaled.

    Attributes:
        sigma: The decay rate of V.
        eps: ε.
        t: The number of gradients in V, with this step's.
        correction: 1 − σ^t.
    """

    sigma: float
    eps: float
    t: Any
    correction: Any


class Step(NamedTuple):
    """The scalars of a step, the same for all variables: floats on torch, elsewhere tensors too.

    Attributes:
        linear: The scalars of the linear step.
        decay: The learning rate times the weight decay, or None without weight decay.
        pull: How many times θ is added to the momentum before the step
            (`indian_core.authors_pull`), or None.
        scaling: How gradients are scaled, or None where they are not.
    """

    linear: Coefficients
    decay: Any = None
    pull: Any = None
    scaling: Scaling | None = None


class Slots(NamedTuple):
    """A variable with its slots.

    Attributes:
        variable: θ.
        momentum: The slot that the linear step calls s, or None for a step without momentum.
        squares: V, or None.
        decays: Whether weight decay applies to the variable.
    """

    variable: Any
    momentum: Any
    squares: Any
    decays: bool
