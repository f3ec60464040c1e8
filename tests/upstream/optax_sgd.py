"""A pytest plugin for optax's own tests: `damped_sgd` as `optax.sgd`, which it is."""

from __future__ import annotations

from typing import Any

import optax
from optax._src import alias

from indian_optax import damped_sgd


def sgd(
    learning_rate: Any,
    momentum: float | None = None,
    nesterov: bool = False,
    accumulator_dtype: Any = None,
) -> Any:
    """Return `damped_sgd` without a damping, which is this SGD."""
    return damped_sgd(learning_rate, momentum, nesterov, accumulator_dtype=accumulator_dtype)


for module in (optax, alias):
    module.sgd = sgd
