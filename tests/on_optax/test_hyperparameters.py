"""Which arguments are taken, which refused, and when."""

from __future__ import annotations

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_optax import indian, power_decay
from tests.on_optax.problem import assert_close, run, start


def test_limits() -> None:
    for bad in (-0.1, "0.1"):
        with pytest.raises((TypeError, ValueError), match="Invalid alpha"):
            indian(0.1, alpha=bad)
    with pytest.raises(ValueError, match=r"Invalid alpha: an array of shape \(2,\)"):
        indian(0.1, alpha=jnp.ones(2))
    indian(0.0, alpha=0.0, initial_speed=0.0, weight_decay=0.0)


@pytest.mark.parametrize("array", [np.array, np.float32, jnp.asarray, jnp.bfloat16])
@pytest.mark.parametrize(
    "name", ["learning_rate", "alpha", "beta", "initial_speed", "weight_decay"]
)
def test_known_arrays_out_of_range_are_refused_as_numbers_are(array: Any, name: str) -> None:
    arguments: dict[str, Any] = {"learning_rate": 0.1}
    with pytest.raises(ValueError, match="Invalid") as of_number:
        indian(**(arguments | {name: -1.0}))
    with pytest.raises(ValueError, match="Invalid") as of_array:
        indian(**(arguments | {name: array(-1.0)}))
    assert str(of_array.value) == str(of_number.value)


@pytest.mark.parametrize("value", [jnp.asarray(True), np.array(True), jnp.asarray(1j)])
def test_arrays_of_what_is_no_real_number_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="Invalid alpha"):
        indian(0.1, alpha=value)


def test_injected_values_are_checked_where_they_are_known() -> None:
    params = jnp.ones(2)
    with pytest.raises(ValueError, match=r"Invalid learning rate: -1\.0"):
        optax.inject_hyperparams(indian)(learning_rate=-1.0).init(params)
    optimizer = optax.inject_hyperparams(indian)(learning_rate=0.5, initial_speed=1.0)
    state = optimizer.init(params)
    state.hyperparams["learning_rate"] = jnp.asarray(-1.0)
    with pytest.raises(ValueError, match=r"Invalid learning rate: -1\.0"):
        optimizer.update(params, state)
    updates, _ = jax.jit(optimizer.update)(params, state)  # traced: not known
    assert_close(updates, params)


@pytest.mark.parametrize("dtype", [jnp.int8, "int32", bool, "no dtype", jnp.dtype("uint8")])
def test_accumulators_that_cannot_hold_a_momentum_are_refused(dtype: Any) -> None:
    text = re.escape(f"Invalid accumulator_dtype: {dtype!r}")
    with pytest.raises(TypeError, match=text):
        indian(0.1, accumulator_dtype=dtype)


@pytest.mark.parametrize(
    "number", [0.25, np.float32(0.25), np.float64(0.25), np.array(0.25), jnp.asarray(0.25)]
)
def test_all_kinds_of_numbers_are_the_same(x64: None, number: Any) -> None:
    expected, _ = run(indian(0.25, 0.25, 0.25, 0.25, 0.25), start())
    actual, _ = run(indian(number, number, number, number, number), start())
    assert_close(actual, expected)


def test_integers_are_numbers(x64: None) -> None:
    expected, _ = run(indian(0.1, 1.0, 1.0), start())
    actual, _ = run(indian(0.1, 1, 1), start())
    assert_close(actual, expected)


def test_float32_hyperparameters_cost_float64_leaves_their_own_rounding_only(x64: None) -> None:
    rounded = [float(np.float32(x)) for x in (0.1, 0.3, 0.7, 0.9, 0.2)]
    expected, _ = run(indian(*rounded), start())
    traced, _ = run(indian(*(jnp.float32(x) for x in rounded)), start())
    assert_close(traced, expected)
    schedules, _ = run(
        indian(
            lambda _: jnp.float32(rounded[0]),
            *(jnp.float32(x) for x in rounded[1:4]),
            weight_decay=lambda _: jnp.float32(rounded[4]),
        ),
        start(),
    )
    assert_close(schedules, expected)


@pytest.mark.parametrize("alpha", [0.5, jnp.asarray(0.5)])
@pytest.mark.parametrize("rate", [2.0, jnp.asarray(2.0), power_decay(2.0, 0.0)])
def test_alpha_lr_one_is_finite_and_right(x64: None, alpha: Any, rate: Any) -> None:
    """w is then γ (1 − αβ) v of the last step alone."""
    optimizer = indian(rate, alpha, beta=0.1, initial_speed=1.0)
    params = jnp.array([1.0, 2.0])
    gradients = [jnp.array([3.0, -1.0]), jnp.array([0.5, 0.25])]
    state = optimizer.init(params)
    first, state = optimizer.update(gradients[0], state)
    assert_close(first, -2.0 * gradients[0])
    assert_close(state.momentum, 2.0 * 0.95 * gradients[0])
    second, state = optimizer.update(gradients[1], state)
    assert_close(second, -2.0 * (1.9 * gradients[0] + 0.1 * gradients[1]))
    assert_close(state.momentum, 1.9 * gradients[1])


def test_crossing_alpha_lr_one(x64: None) -> None:
    """All readings of the step agree where 1 − αγ goes through zero."""

    def schedule(count: Any) -> Any:
        return 2.2 - 0.05 * count

    def by_hand(k: int) -> float:
        return 2.2 - 0.05 * k

    momentum, theta = jnp.zeros(2), jnp.array([1.0, -2.0])
    params, optimizer = theta, indian(schedule, 0.5, 0.1, initial_speed=0.1)
    state = optimizer.init(params)
    for k in range(9):
        v, gamma = jnp.sin(theta + k), by_hand(k)
        theta, momentum = (
            theta - gamma * (momentum + 0.1 * v),
            (1 - 0.5 * gamma) * momentum + gamma * 0.95 * v,
        )
        updates, state = optimizer.update(jnp.sin(params + k), state)
        params = optax.apply_updates(params, updates)
    assert_close(params, theta)
    assert_close(state.momentum, momentum)


def test_learning_rate_zero_rests(x64: None) -> None:
    params, _ = run(indian(0.0, weight_decay=0.1), start())
    assert_close(params, start(), tolerance=0)


class TestPowerDecay:
    @pytest.mark.parametrize("power", [0.0, 0.25, 0.5, 1])
    def test_values(self, x64: None, power: float) -> None:
        schedule = power_decay(0.3, power)
        for count in (0, 1, 7, 1000):
            assert float(schedule(count)) == pytest.approx(0.3 * (count + 1) ** -power, rel=1e-14)
            traced = jax.jit(schedule)(jnp.asarray(count, jnp.int32))
            assert float(traced) == pytest.approx(0.3 * (count + 1) ** -power, rel=1e-14)

    def test_default_is_the_paper_s_square_root(self) -> None:
        assert power_decay(1.0)(3) == 0.5

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ((-0.1,), ValueError, "Invalid init_value: -0.1"),
            ((0.1, -1.0), ValueError, "Invalid power: -1.0"),
            ((0.1, math.nan), ValueError, "Invalid power: nan"),
            (("fast",), TypeError, "Invalid init_value: 'fast'"),
        ],
    )
    def test_refuses(self, arguments: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=text):
            power_decay(*arguments)

    def test_works_in_other_optimizers(self) -> None:
        params, _ = run(optax.sgd(power_decay(0.1)), start())
        assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(params))
