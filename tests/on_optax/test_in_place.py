"""Donated buffers are updated in place: the compiled step has no temporary as large as a leaf."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from indian_optax import from_sgd, indian, power_decay

LEAF = (512, 512)
BYTES = 4 * 512 * 512


def temporary_bytes(optimizer: optax.GradientTransformation, dtype: Any = jnp.float32) -> int:
    params = [jnp.ones(LEAF, dtype), jnp.ones(LEAF, dtype)]
    state = optimizer.init(params)

    def step(params: Any, state: Any, gradients: Any) -> Any:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(params, state, params).compile()
    return int(compiled.memory_analysis().temp_size_in_bytes)


def stated(maximum: float) -> Any:
    def schedule(count: Any) -> Any:
        return maximum / (1.0 + count)

    schedule.max_value = maximum  # type: ignore[attr-defined]
    return schedule


IN_PLACE = {
    "number": indian(0.1),
    "lr = beta": indian(0.1, 0.5, 0.1, 0.1),
    "alpha lr > 1": indian(4.0),
    "weight decay": indian(0.1, weight_decay=0.1),
    "power_decay": indian(power_decay(0.1), weight_decay=0.1),
    "stated maximum": indian(stated(0.1)),
    "from_sgd": from_sgd(0.1, 0.9, nesterov=True),
    "chain": optax.chain(optax.clip(1.0), indian(0.1)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_no_temporary_copies(name: str) -> None:
    assert temporary_bytes(IN_PLACE[name]) < BYTES // 16


def test_no_temporary_copies_of_bfloat16() -> None:
    assert temporary_bytes(indian(0.1), jnp.bfloat16) < BYTES // 32


def test_a_copy_would_be_seen() -> None:
    """The measure that these tests stand on: near αγ = 1, XLA on CPUs does copy."""
    if jax.default_backend() != "cpu":
        pytest.skip("on CPUs only")
    assert temporary_bytes(indian(2.0)) >= BYTES
