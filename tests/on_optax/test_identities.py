"""INDIAN that is SGD makes optax.sgd's steps: numbers that nobody here wrote."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from indian_core import BETA
from indian_optax import energy, from_sgd, indian, inna, psi, with_psi
from tests.on_optax.problem import assert_close, run, start

SGD = [
    (0.05, None, False),
    (0.05, 0.0, False),
    (0.05, 0.9, False),
    (0.05, 0.9, True),
    (0.01, 0.5, True),
    (0.04, 1.0, False),
]


@pytest.mark.parametrize(("lr", "momentum", "nesterov"), SGD)
def test_from_sgd(x64: None, lr: float, momentum: float | None, nesterov: bool) -> None:
    expected, _ = run(optax.sgd(lr, momentum, nesterov), start())
    actual, _ = run(from_sgd(lr, momentum, nesterov), start())
    assert_close(actual, expected)


SCHEDULES: dict[str, Any] = {
    "cosine": optax.cosine_decay_schedule(0.05, 9),
    "warm-up from 0, then 0 again": optax.join_schedules(
        [optax.linear_schedule(0.0, 0.05, 4), optax.constant_schedule(0.0)], [9]
    ),
    "jumps": lambda k: jnp.asarray([0.05, 1e-9, 0.2, 0.0, 0.01])[k % 5],
}


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("injected", [False, True])
def test_from_sgd_is_sgd_at_any_schedule(
    x64: None, momentum: float, nesterov: bool, schedule: str, injected: bool
) -> None:
    if nesterov and not momentum:
        return
    make = optax.inject_hyperparams(from_sgd) if injected else from_sgd
    expected, _ = run(optax.sgd(SCHEDULES[schedule], momentum, nesterov), start())
    actual, state = run(make(SCHEDULES[schedule], momentum, nesterov), start())
    assert_close(actual, expected)
    assert_close(psi(with_psi(state, actual, psi(state, actual)), actual), psi(state, actual))


def test_along_a_schedule_w_and_the_energy_are_those_of_the_step_s_own_gamma(x64: None) -> None:
    """optax's trace is w/(γ m), at the γ of the last step."""
    schedule = SCHEDULES["cosine"]
    params, state = run(from_sgd(schedule, 0.9), start(), steps=range(5))
    _, sgd = run(optax.sgd(schedule, 0.9), start(), steps=range(5))
    gamma = float(schedule(4)) ** 0.5
    w = jax.tree.map(lambda t: 0.9 * gamma * t, optax.tree.get(sgd, "trace"))
    assert_close(state.momentum, w)
    assert float(state.alpha * state.beta) == pytest.approx(0.1, rel=1e-14)
    kinetic = sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(w))
    assert float(energy.energy(state, 3.0)) == pytest.approx(2 * 1.1 * 3 + kinetic, rel=1e-12)
    expected = jax.tree.map(lambda p, w: 0.9 * p + gamma * w, params, w)
    assert_close(psi(state, params), expected)


def test_alpha_beta_one_is_gradient_descent(x64: None) -> None:
    expected, _ = run(optax.sgd(0.1 * 0.5), start())
    actual, _ = run(indian(0.1, alpha=2.0, beta=0.5, initial_speed=0.5), start())
    assert_close(actual, expected)


def test_gradient_descent_with_a_schedule(x64: None) -> None:
    schedule = optax.cosine_decay_schedule(0.2, 10)
    expected, _ = run(optax.sgd(lambda count: 0.5 * schedule(count)), start())
    actual, _ = run(indian(schedule, alpha=2.0, beta=0.5, initial_speed=0.5), start())
    # The schedule itself is a float32 of optax's: both runs read the same.
    assert_close(actual, expected)


@pytest.mark.parametrize("nesterov", [False, True])
def test_weight_decay_is_adamw_s(x64: None, nesterov: bool) -> None:
    """Decoupled decay: what optax adds to SGD's steps, with INDIAN's γ for the rate."""
    gamma, decay = 0.05**0.5, 0.3
    decayed_sgd = optax.chain(
        optax.trace(0.9, nesterov), optax.scale(-0.05), optax.add_decayed_weights(-gamma * decay)
    )
    expected, _ = run(decayed_sgd, start())
    beta = gamma * 1.9 if nesterov else gamma
    same = indian(gamma, 0.1 / gamma, beta, initial_speed=beta, weight_decay=decay)
    actual, _ = run(same, start())
    assert_close(actual, expected)


def test_damping_turned_up_in_mid_run(x64: None) -> None:
    """The state of the one is the state of the other, and does not begin anew."""
    params, state = run(from_sgd(0.05, 0.9), start(), steps=range(4))
    gamma = 0.05**0.5
    later = indian(gamma, 0.1 / gamma, 3 * gamma, initial_speed=7.0)
    expected, _ = run(later, params, state, range(4, 8))
    actual, _ = run(from_sgd(0.05, 0.9, damping=0.3), params, state, range(4, 8))
    assert_close(actual, expected)


@pytest.mark.parametrize("nesterov", [False, True])
def test_weight_decay_is_that_of_a_chain_with_sgd(nesterov: bool, x64: None) -> None:
    decayed = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.05, 0.9, nesterov))
    expected, _ = run(decayed, start())
    actual, _ = run(from_sgd(0.05, 0.9, nesterov, weight_decay=0.1), start())
    assert_close(actual, expected)
    injected = optax.inject_hyperparams(from_sgd)(0.05, 0.9, nesterov, weight_decay=0.1)
    actual, _ = run(injected, start())
    assert_close(actual, expected)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((lambda k: 0.1, 1.1), ValueError, "Invalid momentum: 1.1"),
        ((0.1, 0.9, True, 0.5), ValueError, "Invalid damping: 0.5 .*nesterov"),
        ((lambda k: 0.1, 0.9, True, 0.5), ValueError, "Invalid damping: 0.5 .*nesterov"),
        (("0.1", 0.9), TypeError, "learning rate"),
    ],
)
def test_from_sgd_refuses(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        from_sgd(*arguments)


def test_inna_is_indian() -> None:
    assert inna is indian
    params = jnp.ones(2)
    updates, _ = inna(0.1).update(params, inna(0.1).init(params))
    assert float(updates[0]) == pytest.approx(-0.1 * BETA)
