"""The methods are optax's own where they are said to be: numbers that nobody here wrote."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from indian_optax import damped_adamw, damped_sgd, indian, innaprop
from tests.on_optax.problem import assert_close, assert_same_bits, run, start

COSINE = optax.cosine_decay_schedule(0.05, 9)
SCHEDULES: dict[str, Any] = {
    "number": 0.05,
    "warm-up from 0, then 0 again": optax.join_schedules(
        [optax.linear_schedule(0.0, 0.05, 4), optax.constant_schedule(0.0)], [9]
    ),
    "jumps": lambda k: jnp.asarray([0.05, 1e-9, 0.2, 0.0, 0.01])[k % 5],
}


def is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda p: p.ndim > 1, params)


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
@pytest.mark.parametrize("momentum", [lambda k: 0.1 * k, lambda k: 0.9 * (k % 2)])
def test_a_scheduled_momentum_is_sgd_s(x64: None, momentum: Any, nesterov: bool) -> None:
    runs = [
        run(optax.inject_hyperparams(make)(0.1, momentum=momentum, nesterov=nesterov), start())
        for make in (optax.sgd, damped_sgd)
    ]
    assert_close(runs[1][0], runs[0][0])


def test_an_injected_damping_goes_with_its_momentum() -> None:
    solver, params = optax.inject_hyperparams(damped_sgd)(0.05, 0.9, damping=0.3), jnp.ones(2)
    _, state = solver.update(params, solver.init(params), params)
    state.hyperparams["momentum"] = jnp.asarray(0.0)
    with pytest.raises(ValueError, match="damping"):
        solver.update(params, state, params)


def masked(make: Any) -> Any:
    """Return how an optimizer is made whose numbers are injected, and whose decay is masked."""
    return functools.partial(optax.inject_hyperparams(make, static_args=("mask",)), mask=is_matrix)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_at_a_damping_of_1_it_is_adamw_without_momentum(x64: None, schedule: str) -> None:
    rate, numbers = SCHEDULES[schedule], {"b2": 0.99, "eps": 1e-6, "weight_decay": 0.2}
    expected, _ = run(optax.adamw(rate, 0.0, mask=is_matrix, **numbers), start())
    for b1 in (0.0, 0.9):
        actual, _ = run(masked(damped_adamw)(rate, b1, damping=1.0, **numbers), start())
        assert_close(actual, expected)


@pytest.mark.parametrize("rate", [0.05, COSINE])
def test_innaprop_at_alpha_beta_1_is_adamw_without_momentum(x64: None, rate: Any) -> None:
    doubled: Any = (lambda k: 2 * rate(k)) if callable(rate) else 2 * rate
    actual, _ = run(masked(innaprop)(doubled, 2.0, 0.5, 0.99, 1e-6, 0.1), start())
    expected, _ = run(optax.adamw(rate, 0.0, 0.99, 1e-6, weight_decay=0.2, mask=is_matrix), start())
    assert_close(actual, expected)


@pytest.mark.parametrize("rate", [0.1, COSINE])
@pytest.mark.parametrize("numbers", [(0.1, 0.9, 0.999, 1e-8), (2.0, 0.3, 0.0, 0.1)])
def test_innaprop_is_scale_by_rms_before_indian(x64: None, rate: Any, numbers: Any) -> None:
    expected, _ = run(scale_by_rms_before_indian(rate, *numbers), start())
    actual, _ = run(innaprop(rate, *numbers, None), start())
    assert_close(actual, expected)


def scale_by_rms_before_indian(
    learning_rate: Any, alpha: float, beta: float, sigma: float, eps: float
) -> Any:
    return optax.chain(
        optax.scale_by_rms(sigma, eps, eps_in_sqrt=False, bias_correction=True),
        indian(learning_rate, alpha, beta),
    )


def test_complex_gradients_are_scaled_as_adam_s(x64: None) -> None:
    params, gradients = jnp.array([1.0 + 2.0j, 3.0]), jnp.array([0.5 - 1.0j, 2.0j])
    ours = innaprop(0.2, 2.0, 0.5, 0.9, 1e-3, None)
    theirs = optax.adam(0.1, 0.0, 0.9, 1e-3)
    states = ours.init(params), theirs.init(params)
    for _ in range(3):
        actual, one = ours.update(gradients, states[0], params)
        expected, other = theirs.update(gradients, states[1], params)
        assert_close(actual, expected)
        states = one, other
    assert states[0].nu.dtype == jnp.float64


def test_eps_root_keeps_derivatives_of_a_step_finite() -> None:
    """Where the gradient is zero, the derivative of a root at zero is not finite."""

    def moved(scale: jax.Array, eps_root: float) -> jax.Array:
        solver = damped_adamw(0.1, eps_root=eps_root, weight_decay=None)
        params = jnp.zeros(2)
        updates, _ = solver.update(scale * params, solver.init(params))
        return jnp.sum(updates)

    assert jnp.isnan(jax.grad(moved)(jnp.asarray(1.0), 0.0))
    assert jnp.isfinite(jax.grad(moved)(jnp.asarray(1.0), 1e-8))
