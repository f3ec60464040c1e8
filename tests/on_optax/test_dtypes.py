"""The dtype rule: SGD's identities for every pair of dtypes, and nothing that vanishes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_core import BETA
from indian_optax import (
    damped_sgd,
    energy,
    indian,
    innaprop,
    power_decay,
    psi,
    stochastic_rounding,
    with_psi,
)
from tests.on_optax.problem import assert_close, each_method
from tests.x64 import enable_x64

FLOATS = ["bfloat16", "float16", "float32", "float64"]
DTYPES = [*FLOATS, "complex64", "complex128"]


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
@pytest.mark.parametrize("gradient_dtype", FLOATS)
@pytest.mark.parametrize("dtype", FLOATS)
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


def test_the_step_is_computed_in_the_widest_dtype() -> None:
    with enable_x64(True):
        gradient = jnp.full(3, 1 / 3)
        optimizer = indian(0.1, initial_speed=0.1, accumulator_dtype="float32")
        updates, _ = optimizer.update(gradient, optimizer.init(gradient), gradient)
        np.testing.assert_allclose(updates, -0.1 * 0.1 / 3, rtol=1e-15)
    # And an update has the gradient's.
    params, gradients = jnp.ones(3, jnp.bfloat16), jnp.full(3, 0.1)
    updates, _ = indian(0.1).update(gradients, indian(0.1).init(params), params)
    assert_close(updates, jnp.full(3, -0.01 * BETA, jnp.float32), 1e-6)


def buffers(state: Any) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(state) if leaf.shape == (2,)]


@each_method
def test_all_dtypes_in_one_tree(x64: None, make: Any) -> None:
    optimizer = make(power_decay(0.1))
    params = {dtype: jnp.array([1.5, -0.25], dtype) for dtype in DTYPES}
    state = optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update(params, state, params)
        params = optax.apply_updates(params, updates)
    assert {leaf.dtype.name for leaf in buffers(state)} <= {"float32", "float64", *DTYPES[4:]}
    exact = np.asarray(params["float64"])
    for dtype in DTYPES:
        assert params[dtype].dtype == dtype
        assert updates[dtype].dtype == dtype
        unit = max(float(jnp.finfo(dtype).eps), 1e-14)
        found = np.asarray(params[dtype], np.complex128)
        np.testing.assert_allclose(found, exact, rtol=8 * unit, atol=unit)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("make", [indian, innaprop, damped_sgd])
def test_accumulator_dtype(x64: None, dtype: str, make: Any) -> None:
    """The momentum is rounded when it is stored, and not before."""
    params = {each: jnp.array([1.5, -0.25], each) for each in DTYPES}
    optimizer = make(0.1, accumulator_dtype=dtype)
    _, state = optimizer.update(params, optimizer.init(params), params)
    name = "trace" if make is damped_sgd else "momentum"
    momenta = optax.tree.get(state, name)
    for each, momentum in momenta.items():
        expected = jnp.promote_types(dtype, "complex64") if "complex" in each else dtype
        assert momentum.dtype == expected
        unit = 4 * max(float(jnp.finfo(d).eps) for d in (dtype, each))
        assert_close(momentum.astype("complex128"), momenta["float64"].astype("complex128"), unit)


def test_complex_leaves_are_two_real_ones(x64: None) -> None:
    """The step is linear: real and imaginary parts do not meet."""
    optimizer = indian(0.1, weight_decay=0.1)
    params, gradients = jnp.array([1.0 + 2.0j]), jnp.array([0.5 - 1.0j])

    def two_steps(params: Any, gradients: Any) -> Any:
        _, state = optimizer.update(gradients, optimizer.init(params), params)
        updates, state = optimizer.update(gradients, state, params)
        return updates, state.momentum

    for part in (jnp.real, jnp.imag):
        both = jax.tree.map(part, two_steps(params, gradients))
        assert_close(both, two_steps(part(params), part(gradients)))


def test_float32_keeps_the_digits_of_the_bias_correction_from_the_first_step_on() -> None:
    """1 − σ^t, evaluated plainly, would be off by 1e-5 at first."""
    optimizer, params = innaprop(1.0, 1.0, 1.0, 0.999, 0.0, None), jnp.ones(1)
    state = optimizer.init(params)
    for _ in range(20):
        updates, state = optimizer.update(params, state)
        np.testing.assert_allclose(updates, -1.0, rtol=1e-6)


WRAPPED: dict[str, Any] = {
    "apply_if_finite": lambda o: optax.apply_if_finite(o, 3),
    "MultiSteps": lambda o: optax.MultiSteps(o, 2).gradient_transformation(),
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("wrap", WRAPPED)
@each_method
def test_wrappers_keep_their_dtypes(make: Any, dtype: str, wrap: str) -> None:
    inner = make(0.1)
    for optimizer in (inner, stochastic_rounding(inner, 0)):
        wrapped = WRAPPED[wrap](optimizer)
        params = jnp.ones(4, dtype)
        state = wrapped.init(params)
        for _ in range(3):
            updates, state = jax.jit(wrapped.update)(jnp.ones(4, dtype), state, params)
            assert updates.dtype == params.dtype
            params = optax.apply_updates(params, updates)
        assert bool(jnp.isfinite(params).all() and (params < 1).all())


@each_method
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_strict_promotion(dtype: str, make: Any) -> None:
    with jax.numpy_dtype_promotion("strict"):
        params = {"w": jnp.ones(3, dtype), "z": jnp.ones(2, "complex64")}
        optimizer = stochastic_rounding(make(power_decay(0.1)), 0)
        state = optimizer.init(params)
        updates, state = jax.jit(optimizer.update)(params, state, params)
        params = optax.apply_updates(params, updates)
        if make in (indian, innaprop):
            state = with_psi(state, params, psi(state, params))
            assert bool(jnp.isfinite(energy(state, jnp.asarray(1.0, dtype))))
        if make is damped_sgd and dtype == "bfloat16":
            return  # optax's own scale, after it, mixes the two, as in optax.sgd
        injected = optax.inject_hyperparams(make, hyperparam_dtype=jnp.float32)(0.1)
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


@each_method
def test_float32_parameters_are_computed_in_float32_under_x64(make: Any) -> None:
    with enable_x64(True):
        params = jnp.ones(512, "float32")
        optimizer = make(optax.constant_schedule(0.1))
        state = optimizer.init(params)
        text = jax.jit(optimizer.update).lower(params, state, params).as_text()
        assert "512xf64" not in text


@each_method
def test_a_complex_gradient_of_a_real_parameter_is_refused(make: Any) -> None:
    params, optimizer = jnp.ones(2), make(0.1)
    with pytest.raises(ValueError, match="gradients"):
        optimizer.update(jnp.ones(2, "complex64"), optimizer.init(params), params)


@each_method
def test_a_state_of_32_bits_keeps_its_dtypes_under_x64(make: Any) -> None:
    """Resumed where x64 has been enabled since, and carried through a loop."""
    params, optimizer = jnp.ones(3, jnp.float32), make(optax.cosine_decay_schedule(0.1, 10))
    state = optimizer.init(params)
    with enable_x64(True):

        def step(carry: Any, _: Any) -> Any:
            params, state = carry
            updates, state = optimizer.update(params, state, params)
            return (optax.apply_updates(params, updates), state), None

        carry, _ = jax.lax.scan(step, (params, state), None, length=3)
    for before, after in zip(jax.tree.leaves((params, state)), jax.tree.leaves(carry), strict=True):
        assert after.dtype == before.dtype
