"""The paper's step sizes as an optax schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

import indian_core
from indian_core import POWER, checked


def power_decay(init_value: float, power: float = POWER) -> Callable[[Any], Any]:
    r"""Construct the paper's schedule, which decays with a power of the iteration.

    $$\gamma_k = \gamma_0 (k + 1)^{-q}$$

    with $k$ counted from 0. Figures 2 and 3 of the paper use $q = 1/2$. In Figure 4, slower
    decays train faster, and $q = 1/4$ beats Adam. The paper proves convergence under its
    Assumption 1, which holds for $0 < q \leq 1$.

    Args:
        init_value: $\gamma_0 \geq 0$, the step size of the first iteration.
        power: $q \geq 0$, the decay exponent. With 0 the step size is constant.

    Returns:
        A function of the step count that returns the step size.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is negative or not finite.

    Examples:
        >>> schedule = power_decay(0.5)
        >>> [float(schedule(count)) for count in (0, 3, 15)]
        [0.5, 0.25, 0.125]

    Source: Castera et al, [An Inertial Newton Algorithm for Deep
    Learning](https://jmlr.org/papers/v22/19-1024.html), 2021, Assumption 1 and section 5.
    """
    init_value, power = checked("init_value", init_value), checked("power", power)
    # The count becomes a float, because strict promotion does not add 1.0 to an integer.
    return lambda count: indian_core.power_decay(jnp.asarray(count, float), init_value, power)
