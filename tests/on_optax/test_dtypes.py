"""The dtype rule: SGD's identities for every pair of dtypes, and nothing that vanishes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_optax import (
    damped_adamw,
    damped_sgd,
    energy,
    indian,
    innaprop,
    power_decay,
    psi,
    stochastic_rounding,
    with_psi,
)
from tests.x64 import enable_x64

DTYPES = ["bfloat16", "float16", "float32", "float64"]


def train(
    optimizer: optax.GradientTransformation, params: Any, gradient: Any, steps: int, *, given: bool
) -> Any:
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    total = np.zeros(params.shape)
    for _ in range(steps):
        updates, state = update(gradient, state, params if given else None)
        total += np.asarray(updates, np.float64)
    return total, updates.dtype


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("gradient_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_sgd_for_every_pair(dtype: str, gradient_dtype: str, given: bool) -> None:
    with enable_x64(True):
        params = jnp.ones(3, dtype)
        gradient = jnp.array([1.0, -0.5, 0.25], gradient_dtype)
        # SGD's own buffer has the parameter's dtype: beside ours it must not round.
        accumulator = jnp.promote_types(jnp.promote_types(dtype, gradient_dtype), "float32")
        exact = optax.sgd(0.01, 0.9, accumulator_dtype=accumulator)
        expected, _ = train(exact, params, gradient, 8, given=given)
        actual, update = train(damped_sgd(0.01, 0.9), params, gradient, 8, given=given)
        rounding = float(jnp.finfo(update).eps) if update in ("bfloat16", "float16") else 2e-7
        if "float64" in (dtype, gradient_dtype) and dtype == "float64":
            rounding = 1e-14
        np.testing.assert_allclose(actual, expected, rtol=2 * rounding)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_steps_of_16_bit_gradients_do_not_vanish(dtype: str) -> None:
    gradient = jnp.full(3, 1e-5, dtype)
    expected, _ = train(optax.sgd(1e-4, 0.9), jnp.zeros(3), gradient, 30, given=True)
    actual, _ = train(damped_sgd(1e-4, 0.9), jnp.zeros(3), gradient, 30, given=True)
    assert np.all(expected < 0)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_the_step_is_computed_in_the_widest_dtype() -> None:
    """Float64 gradients and parameters of a float32 momentum."""
    with enable_x64(True):
        gradient = jnp.full(3, 1 / 3)
        optimizer = indian(0.1, initial_speed=0.1, accumulator_dtype="float32")
        updates, _ = optimizer.update(gradient, optimizer.init(gradient), gradient)
        np.testing.assert_allclose(updates, -0.1 * 0.1 / 3, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_stochastic_rounding_rounds_once(dtype: str) -> None:
    """30 steps of 2.18e-7 in all, under the least number of float16: right in the mean."""
    n = 200_000
    params = jnp.zeros(n, dtype) + jnp.asarray(2.0**-8, dtype)
    gradient = jnp.full(n, 1e-5, dtype)
    exact, _ = train(damped_sgd(1e-4, 0.9), jnp.zeros(1), gradient[:1], 30, given=True)
    optimizer = stochastic_rounding(damped_sgd(1e-4, 0.9), 0)
    state, start = optimizer.init(params), np.asarray(params, np.float64)

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(30):
        params, state = step(params, state)
    moved = np.asarray(params, np.float64) - start
    # Five standard deviations of a mean of n such walks.
    assert abs(moved.mean() - exact[0]) <= 5 * moved.std() / n**0.5
    assert moved.mean() == pytest.approx(exact[0], rel=0.5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("wrap", ["apply_if_finite", "MultiSteps", "chain", "flatten"])
def test_wrappers_keep_their_dtypes(dtype: str, wrap: str) -> None:
    params = jnp.ones(4, dtype)
    inner: Any = indian(0.1, weight_decay=0.01)
    for optimizer in (inner, stochastic_rounding(inner, 0)):
        wrapped: Any = {
            "apply_if_finite": lambda o: optax.apply_if_finite(o, 3),
            "MultiSteps": lambda o: optax.MultiSteps(o, 2).gradient_transformation(),
            "chain": lambda o: optax.chain(optax.clip_by_global_norm(1.0), o),
            "flatten": optax.flatten,
        }[wrap](optimizer)
        state = wrapped.init(params)
        for _ in range(3):
            updates, state = jax.jit(wrapped.update)(jnp.ones(4, dtype), state, params)
            assert updates.dtype == params.dtype
            params = optax.apply_updates(params, updates)
    assert params.dtype == dtype
    assert bool(jnp.isfinite(params).all() and (params < 1).all())


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_strict_promotion(dtype: str) -> None:
    with jax.numpy_dtype_promotion("strict"):
        params = {"w": jnp.ones(3, dtype), "z": jnp.ones(2, "complex64")}
        optimizer = stochastic_rounding(
            indian(power_decay(0.1), weight_decay=power_decay(0.1), mask={"w": True, "z": False}), 0
        )
        state = optimizer.init(params)
        updates, state = jax.jit(optimizer.update)(params, state, params)
        params = optax.apply_updates(params, updates)
        state = with_psi(state, params, psi(state, params))
        assert bool(jnp.isfinite(energy(state, jnp.asarray(1.0, dtype))))
        injected = optax.inject_hyperparams(indian)(power_decay(0.1), alpha=jnp.float32(0.5))
        real = params["w"]
        injected.update(real, injected.init(real), real)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_8_bit_parameters(dtype: str) -> None:
    params = jnp.array([1.0, 2.0], dtype)
    optimizer = indian(0.5, 0.5, 1.0, 1.0)
    state = optimizer.init(params)
    assert state.momentum.dtype == jnp.float32
    updates, state = optimizer.update(params, state, params)
    assert updates.dtype == dtype
    np.testing.assert_array_equal(np.asarray(updates, np.float32), [-0.5, -1.0])


def test_decay_of_float32_parameters_is_computed_in_float32_under_x64() -> None:
    with enable_x64(True):
        params = jnp.ones(512, "float32")
        optimizer = indian(optax.constant_schedule(0.1), weight_decay=0.1)
        state = optimizer.init(params)
        text = jax.jit(optimizer.update).lower(params, state, params).as_text()
        assert "512xf64" not in text


def test_a_complex_gradient_of_a_real_parameter_is_refused() -> None:
    params = jnp.ones(2)
    optimizer = indian(0.1)
    with pytest.raises(ValueError, match="Invalid gradients: complex64"):
        optimizer.update(jnp.ones(2, "complex64"), optimizer.init(params), params)
    with pytest.raises(TypeError, match="Invalid psi: complex64"):
        with_psi(optimizer.init(params), params, jnp.ones(2, "complex64"))


def test_power_decay_is_exact_far_out() -> None:
    with enable_x64(False):
        for k in (70_000, 1_000_003, 10_000_000):
            found = power_decay(0.5, 0.5)(jnp.int32(k))
            assert float(found) == pytest.approx(0.5 / (k + 1) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        indian(optax.cosine_decay_schedule(0.1, 10)),
        innaprop(optax.cosine_decay_schedule(0.1, 10)),
        damped_sgd(optax.cosine_decay_schedule(0.1, 10), damping=0.3),
        damped_adamw(optax.cosine_decay_schedule(0.1, 10)),
    ],
)
def test_a_state_of_32_bits_keeps_its_dtypes_under_x64(optimizer: Any) -> None:
    """Resumed where x64 has been enabled since, and carried through a loop."""
    params = jnp.ones(3, jnp.float32)
    state = optimizer.init(params)
    with enable_x64(True):

        def step(carry: Any, _: Any) -> Any:
            params, state = carry
            updates, state = optimizer.update(params, state, params)
            return (optax.apply_updates(params, updates), state), None

        carry, _ = jax.lax.scan(step, (params, state), None, length=3)
    for before, after in zip(jax.tree.leaves((params, state)), jax.tree.leaves(carry), strict=True):
        assert after.dtype == before.dtype
