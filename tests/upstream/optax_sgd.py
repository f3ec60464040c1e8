"""A pytest plugin for optax's own tests: INDIAN as `optax.sgd`, which it is, number for number."""

from __future__ import annotations

from typing import Any

import optax
from optax._src import alias

from indian_optax import from_sgd


def sgd(
    learning_rate: Any,
    momentum: float | None = None,
    nesterov: bool = False,
    accumulator_dtype: Any = None,
) -> Any:
    """Return `from_sgd`, which is this SGD at any schedule."""
    return from_sgd(learning_rate, momentum, nesterov, accumulator_dtype=accumulator_dtype)


for module in (optax, alias):
    module.sgd = sgd
