"""A run begins once: the initial speed has a part in the first step that moves, and in no other."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from indian_optax import indian, psi

ONE = jnp.ones(1)


def test_a_schedule_that_starts_again_is_no_second_start() -> None:
    """Three steps of a constant gradient 1: the third is −0.1226 in all, not −0.2126."""
    optimizer = indian(lambda k: 0.1, initial_speed=1.0)
    state = optimizer.init(ONE)
    for _ in range(2):
        _, state = optimizer.update(ONE, state)
    updates, unbroken = optimizer.update(ONE, state)
    again, restarted = optimizer.update(ONE, optax.tree.set(state, count=0))
    assert float(again[0]) == pytest.approx(float(updates[0]))
    assert float(restarted.momentum[0]) == pytest.approx(float(unbroken.momentum[0]))
    assert int(restarted.count) == 1


@pytest.mark.parametrize("make", [indian, optax.inject_hyperparams(indian)])
def test_a_step_with_lr_0_is_no_start(make: Any) -> None:
    warm_up = optax.linear_schedule(0.0, 0.2, 2)  # 0, .1, .2
    optimizer = make(warm_up, initial_speed=1.0)
    state = optimizer.init(ONE)
    update = jax.jit(optimizer.update)
    updates, state = update(5 * ONE, state)
    assert float(updates[0]) == 0
    assert not bool(optax.tree.get(state, "begun"))
    assert float(optax.tree.get(state, "momentum")[0]) == 0
    updates, state = update(ONE, state)
    assert float(updates[0]) == pytest.approx(-0.1)
    assert bool(optax.tree.get(state, "begun"))


def test_the_state_remembers_what_psi_needs() -> None:
    optimizer = optax.inject_hyperparams(indian)(0.1, alpha=lambda k: 0.5 + k, beta=0.2)
    state = optimizer.init(ONE)
    for _ in range(3):
        _, state = optimizer.update(ONE, state, ONE)
    inner = state.inner_state
    assert (float(inner.alpha), float(inner.beta)) == (2.5, pytest.approx(0.2))
    expected = (1 - 2.5 * 0.2) * 1 + 0.2 * float(inner.momentum[0])
    assert float(psi(state, ONE)[0]) == pytest.approx(expected)


@pytest.mark.parametrize("wrapper", ["schedule_free", "mechanize"])
def test_psi_of_parameters_that_are_not_the_optimizers_own_is_refused(wrapper: str) -> None:
    if wrapper == "schedule_free":
        optimizer: Any = optax.contrib.schedule_free(indian(0.1), 0.1)
    else:
        optimizer = optax.contrib.mechanize(indian(0.1))
    with pytest.raises(ValueError, match="Invalid state: it belongs"):
        psi(optimizer.init(ONE), ONE)


@pytest.mark.parametrize("returned", [jnp.ones(1), [0.1], "x"])
def test_a_schedule_returns_a_scalar(returned: Any) -> None:
    optimizer = indian(lambda _: returned)
    with pytest.raises((TypeError, ValueError), match="Invalid learning_rate: the schedule"):
        optimizer.update(ONE, optimizer.init(ONE))


@pytest.mark.parametrize("make", [indian, optax.inject_hyperparams(indian)])
def test_a_state_can_be_donated(make: Any) -> None:
    """Its alpha and beta are no one else's buffers: not the injected ones' either."""
    optimizer = make(jnp.asarray(0.1), alpha=jnp.asarray(0.5), beta=jnp.asarray(0.1))
    state = optimizer.init(ONE)
    pointers = [x.unsafe_buffer_pointer() for x in jax.tree.leaves(state)]
    assert len(set(pointers)) == len(pointers)
    jax.jit(optimizer.update, donate_argnums=1)(ONE, state, ONE)
