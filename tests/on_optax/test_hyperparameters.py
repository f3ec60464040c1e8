"""Which arguments are taken, which refused, and when."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_optax import damped_adamw, indian, power_decay
from tests.on_optax.problem import assert_close, run, start
from tests.x64 import enable_x64


@pytest.mark.parametrize("array", [np.array, jnp.asarray, jnp.bfloat16])
@pytest.mark.parametrize(
    "name", ["learning_rate", "alpha", "beta", "initial_speed", "weight_decay"]
)
def test_known_arrays_out_of_range_are_refused_as_numbers_are(array: Any, name: str) -> None:
    arguments: dict[str, Any] = {"learning_rate": 0.1}
    with pytest.raises(ValueError, match=name.replace("_", ".")):
        indian(**(arguments | {name: array(-1.0)}))


@pytest.mark.parametrize("value", [jnp.ones(2), jnp.asarray(True), np.array(True), jnp.asarray(1j)])
def test_arrays_of_what_is_no_real_number_are_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="alpha"):
        indian(0.1, alpha=value)


def test_injected_values_are_checked_where_they_are_known() -> None:
    params = jnp.ones(2)
    with pytest.raises(ValueError, match="learning rate"):
        optax.inject_hyperparams(indian)(learning_rate=-1.0).init(params)
    optimizer = optax.inject_hyperparams(indian)(learning_rate=0.5, initial_speed=1.0)
    state = optimizer.init(params)
    state.hyperparams["learning_rate"] = jnp.asarray(-1.0)
    with pytest.raises(ValueError, match="learning rate"):
        optimizer.update(params, state)
    updates, _ = jax.jit(optimizer.update)(params, state)  # traced: not known
    assert_close(updates, params)


@pytest.mark.parametrize("dtype", [jnp.int8, bool, "no dtype", jnp.dtype("uint8")])
def test_accumulators_that_cannot_hold_a_momentum_are_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match="accumulator_dtype"):
        indian(0.1, accumulator_dtype=dtype)
    with pytest.raises(TypeError, match="accumulator_dtype"):
        damped_adamw(0.1, mu_dtype=dtype)


@pytest.mark.parametrize("returned", [jnp.ones(1), [0.1], "x"])
def test_a_schedule_returns_a_scalar(returned: Any) -> None:
    optimizer, params = indian(lambda _: returned), jnp.ones(1)
    with pytest.raises((TypeError, ValueError), match="learning_rate"):
        optimizer.update(params, optimizer.init(params))


@pytest.mark.parametrize("number", [np.float32, np.float64, np.array, jnp.asarray, int])
def test_all_kinds_of_numbers_are_the_same(x64: None, number: Any) -> None:
    expected, _ = run(indian(1.0, 1.0, 1.0, 1.0, 1.0), start())
    actual, _ = run(indian(*[number(1)] * 5), start())
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


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("power", [0.0, 0.25, 0.5, 1])
def test_power_decay(x64: bool, power: float) -> None:
    with enable_x64(x64):
        schedule = power_decay(0.3, power)
        for k in (0, 1, 7, 70_000, 1_000_003, 10_000_000):
            expected = pytest.approx(0.3 * (k + 1) ** -power, rel=1e-14 if x64 else 1e-6)
            assert float(schedule(k)) == expected
            assert float(jax.jit(schedule)(jnp.int32(k))) == expected
    assert float(power_decay(1.0)(3)) == 0.5


@pytest.mark.parametrize("name", ["init_value", "power"])
def test_power_decay_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        power_decay(**({"init_value": 0.1} | {name: -0.1}))
