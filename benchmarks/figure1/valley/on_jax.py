"""The trajectories in JAX: one program, mapped over the panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.harness import on_jax
from indian_optax import indian

from . import PROBLEM, Panel

VERSIONS = on_jax.VERSIONS

# The process is this module's own: see `apart.call`.
jax.config.update("jax_enable_x64", True)


def trajectories(panels: Sequence[Panel], lr: float, device: str) -> Callable[[int], np.ndarray]:
    """See `valley`."""
    (start,) = PROBLEM.theta_0
    hyperparameters = jnp.array([panel[1:] for panel in panels])
    theta = jax.device_put(jnp.tile(start, (len(panels), 1)), jax.devices(device)[0])
    run = theta, jax.vmap(indian(lr).init)(theta)

    def several(run: Any, hyperparameters: jax.Array, steps: Any) -> Any:
        optimizer = indian(lr, *hyperparameters)

        def step(_: Any, run: Any) -> Any:
            theta, state = run
            gradient = jax.grad(lambda theta: PROBLEM.loss([theta], (), jnp))(theta)
            updates, state = optimizer.update(gradient, state)
            return optax.apply_updates(theta, updates), state

        return jax.lax.fori_loop(0, steps, step, run)

    program = jax.jit(jax.vmap(several, in_axes=(0, 0, None)))

    def advance(steps: int) -> np.ndarray:
        nonlocal run
        run = program(run, hyperparameters, steps)
        return np.asarray(run[0])

    return advance
