"""A pytest plugin for optax's own tests: INDIAN as `optax.sgd`, which it is, number for number."""

from __future__ import annotations

from typing import Any

import optax
from optax._src import alias

from indian_optax import from_sgd, indian


def sgd(
    learning_rate: Any,
    momentum: float | None = None,
    nesterov: bool = False,
    accumulator_dtype: Any = None,
) -> Any:
    """Return gradient descent, α = β = 1, or `from_sgd` with momentum at a constant rate."""
    if momentum is None:
        return indian(learning_rate, 1.0, 1.0, 1.0, accumulator_dtype=accumulator_dtype)
    return from_sgd(learning_rate, momentum, nesterov, accumulator_dtype=accumulator_dtype)


for module in (optax, alias):
    module.sgd = sgd
