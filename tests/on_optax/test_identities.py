"""DampedSGD makes optax.sgd's steps, DampedAdamW optax.adamw's: numbers that nobody here wrote."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from indian_core import BETA, indian_from_damped_sgd, innaprop_from_damped_adamw
from indian_optax import damped_adamw, damped_sgd, indian, inna, innaprop
from tests.on_optax.problem import assert_close, assert_same_bits, run, start

SCHEDULES: dict[str, Any] = {
    "number": 0.05,
    "cosine": optax.cosine_decay_schedule(0.05, 9),
    "warm-up from 0, then 0 again": optax.join_schedules(
        [optax.linear_schedule(0.0, 0.05, 4), optax.constant_schedule(0.0)], [9]
    ),
    "jumps": lambda k: jnp.asarray([0.05, 1e-9, 0.2, 0.0, 0.01])[k % 5],
}


@pytest.mark.parametrize("momentum", [None, 0.0, 0.9, 1.0])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_damped_sgd_is_sgd_and_so_is_its_state(
    x64: None, momentum: float | None, nesterov: bool, schedule: str
) -> None:
    rate = SCHEDULES[schedule]
    expected, state = run(optax.sgd(rate, momentum, nesterov), start())
    actual, ours = run(damped_sgd(rate, momentum, nesterov), start())
    assert_close(actual, expected)
    assert_same_bits(jax.tree.map(jnp.zeros_like, ours), jax.tree.map(jnp.zeros_like, state))
    # A run of SGD goes on.
    expected, _ = run(optax.sgd(rate, momentum, nesterov), expected, state, range(12, 16))
    actual, _ = run(damped_sgd(rate, momentum, nesterov), actual, state, range(12, 16))
    assert_close(actual, expected)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(
    "momentum", [lambda k: 0.1 * k, lambda k: jnp.where(k < 4, 0.5, 0.9), lambda k: 0.9 * (k % 2)]
)
def test_a_scheduled_momentum_is_sgd_s(x64: None, momentum: Any, nesterov: bool) -> None:
    runs = [
        run(optax.inject_hyperparams(make)(0.1, momentum=momentum, nesterov=nesterov), start())
        for make in (optax.sgd, damped_sgd)
    ]
    assert_close(runs[1][0], runs[0][0])


def test_a_scheduled_damping_is_the_one_of_each_step(x64: None) -> None:
    def damping(k: Any) -> Any:
        return jnp.where(k < 4, 0.1, 0.3)

    injected = optax.inject_hyperparams(damped_sgd)(0.05, 0.9, damping=damping)
    actual, _ = run(injected, start())
    params, state = run(damped_sgd(0.05, 0.9), start(), steps=range(4))
    expected, _ = run(damped_sgd(0.05, 0.9, damping=0.3), params, state, range(4, 12))
    assert_close(actual, expected)


def test_numbers_written_into_an_injected_state_are_used(x64: None) -> None:
    make = optax.inject_hyperparams(damped_adamw)
    solver = make(0.05, 0.9, damping=0.5)
    params, state = run(solver, start(), steps=range(4))
    state.hyperparams["b1"] = jnp.asarray(0.6)
    actual, _ = run(solver, params, state, range(4, 8))
    expected, _ = run(damped_adamw(0.05, 0.6, damping=0.5), params, state.inner_state, range(4, 8))
    assert_close(actual, expected)


def test_an_injected_momentum_that_the_damping_does_not_go_with_is_refused() -> None:
    """Where it is known: outside of a compiled step."""
    solver = optax.inject_hyperparams(damped_sgd)(0.1, momentum=0.9, damping=0.1)
    params = jnp.ones(2)
    _, state = solver.update(params, solver.init(params), params)
    state.hyperparams["momentum"] = jnp.asarray(0.0)
    with pytest.raises(ValueError, match="damping"):
        solver.update(params, state, params)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("mask", [None, lambda p: jax.tree.map(lambda x: x.ndim > 1, p)])
@pytest.mark.parametrize("injected", [False, True])
def test_at_a_damping_of_1_it_is_adamw_without_momentum(
    x64: None, schedule: str, mask: Any, injected: bool
) -> None:
    rate, numbers = SCHEDULES[schedule], {"b2": 0.99, "eps": 1e-6, "weight_decay": 0.2}
    make: Any = damped_adamw
    if injected:
        make = optax.inject_hyperparams(damped_adamw, static_args=("mask",))
    expected, _ = run(optax.adamw(rate, 0.0, mask=mask, **numbers), start())
    for b1 in (0.0, 0.9):
        actual, _ = run(make(rate, b1, mask=mask, damping=1.0, **numbers), start())
        assert_close(actual, expected)


@pytest.mark.parametrize("damping", [0.1, 0.19, 0.3, 1.0])
def test_at_constant_numbers_the_two_laws_are_one_method(x64: None, damping: float) -> None:
    gamma, alpha, beta, _ = indian_from_damped_sgd(0.05, 0.9, damping)
    expected, _ = run(indian(gamma, alpha, beta), start())
    actual, _ = run(damped_sgd(0.05, 0.9, damping=damping), start())
    assert_close(actual, expected)
    gamma, alpha, beta, decay = innaprop_from_damped_adamw(0.05, 0.9, damping, 0.1)
    expected, _ = run(innaprop(gamma, alpha, beta, 0.99, weight_decay=decay), start())
    actual, _ = run(damped_adamw(0.05, 0.9, 0.99, weight_decay=0.1, damping=damping), start())
    assert_close(actual, expected)


def test_eps_root_keeps_derivatives_of_a_step_finite() -> None:
    """Where the gradient is zero, the derivative of a root at zero is not finite."""

    def moved(scale: jax.Array, eps_root: float) -> jax.Array:
        solver = damped_adamw(0.1, eps_root=eps_root, weight_decay=None)
        params = jnp.zeros(2)
        updates, _ = solver.update(scale * params, solver.init(params))
        return jnp.sum(updates)

    assert jnp.isnan(jax.grad(moved)(jnp.asarray(1.0), 0.0))
    assert jnp.isfinite(jax.grad(moved)(jnp.asarray(1.0), 1e-8))


def test_alpha_beta_one_is_gradient_descent(x64: None) -> None:
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


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: damped_sgd(0.1, 1.1), "momentum"),
        (lambda: damped_sgd(0.1, 0.9, True, 0.5), "damping: 0.5"),
        (lambda: damped_sgd(lambda k: 0.1, 0.9, damping=0.01), "damping"),
        (lambda: damped_sgd(0.1, None, damping=0.3), "damping"),
        (lambda: damped_sgd("0.1"), "learning rate"),
        (lambda: damped_adamw(0.1, 1.0), "b1"),
        (lambda: damped_adamw(0.1, b2=1.0), "b2"),
        (lambda: damped_adamw(0.1, damping=0.01), "damping"),
        (lambda: damped_adamw(0.1, mu_dtype=int), "accumulator_dtype"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Any, name: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"Invalid {name}"):
        make()


@pytest.mark.parametrize("make", [damped_sgd, damped_adamw])
def test_another_optimizer_s_state_is_refused(make: Any) -> None:
    params = jnp.ones(2)
    with pytest.raises((TypeError, ValueError)):
        make(0.1).update(params, optax.adam(0.1).init(params), params)


def test_inna_is_indian() -> None:
    assert inna is indian
    params = jnp.ones(2)
    updates, _ = inna(0.1).update(params, inna(0.1).init(params))
    assert float(updates[0]) == pytest.approx(-0.1 * BETA)
