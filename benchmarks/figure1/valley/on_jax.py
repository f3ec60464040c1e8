"""The trajectories in JAX: one program, mapped over the panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_optax import indian

from . import PROBLEM, Panel

# The process is this module's own: see `apart.call`.
jax.config.update("jax_enable_x64", True)

VERSIONS = f"jax {jax.__version__}, optax {optax.__version__}"


class Trajectories:
    """See `valley.Trajectories`."""

    def __init__(self, panels: Sequence[Panel], lr: float, device: str) -> None:
        (start,) = PROBLEM.theta_0
        self._hyperparameters = jnp.array(
            [(panel.alpha, panel.beta, panel.initial_speed) for panel in panels]
        )
        theta = jax.device_put(jnp.tile(start, (len(panels), 1)), jax.devices(device)[0])
        self._run = theta, jax.vmap(indian(lr).init)(theta)

        def advance(run: Any, hyperparameters: jax.Array, steps: Any) -> Any:
            optimizer = indian(lr, *hyperparameters)

            def step(_: Any, run: Any) -> Any:
                theta, state = run
                gradient = jax.grad(lambda theta: PROBLEM.loss([theta], (), jnp))(theta)
                updates, state = optimizer.update(gradient, state)
                return optax.apply_updates(theta, updates), state

            return jax.lax.fori_loop(0, steps, step, run)

        self._advance = jax.jit(jax.vmap(advance, in_axes=(0, 0, None)))

    def advance(self, steps: int) -> np.ndarray:
        self._run = self._advance(self._run, self._hyperparameters, steps)
        return np.asarray(self._run[0])
