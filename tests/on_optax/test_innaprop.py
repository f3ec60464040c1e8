"""INNAprop against optax's own adamw, scale_by_rms and adam, and under everything around it."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from indian_optax import (
    InnapropState,
    damped_adamw,
    energy,
    indian,
    innaprop,
    psi,
    stochastic_rounding,
    with_psi,
)
from tests.on_optax.problem import assert_close, assert_same_bits, run, start
from tests.on_optax.test_wrappers import WRAPPERS

COSINE = optax.cosine_decay_schedule(0.1, 20)


def composed(learning_rate: Any, alpha: float, beta: float, sigma: float, eps: float) -> Any:
    """The same of optax's own parts."""
    return optax.chain(
        optax.scale_by_rms(sigma, eps, eps_in_sqrt=False, bias_correction=True),
        indian(learning_rate, alpha, beta),
    )


@pytest.mark.parametrize("rate", [0.1, COSINE])
@pytest.mark.parametrize("numbers", [(0.1, 0.9, 0.999, 1e-8), (2.0, 0.3, 0.0, 0.1)])
def test_it_is_scale_by_rms_before_indian(x64: None, rate: Any, numbers: Any) -> None:
    expected, _ = run(composed(rate, *numbers), start())
    actual, _ = run(innaprop(rate, *numbers, None), start())
    assert_close(actual, expected)


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrapped_it_is_what_the_parts_are(x64: None, name: str) -> None:
    numbers = (0.05, 0.5, 0.4, 0.9, 1e-3)
    expected, _ = run(WRAPPERS[name](composed(*numbers)), start())
    actual, _ = run(WRAPPERS[name](innaprop(*numbers, None)), start())
    # schedule_free divides by the sums of weights of its own.
    assert_close(actual, expected, 1e-11)


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("rate", [0.05, COSINE])
@pytest.mark.parametrize("mask", [None, lambda p: jax.tree.map(lambda x: x.ndim > 1, p)])
def test_alpha_beta_1_is_adamw_without_momentum(
    x64: None, rate: Any, mask: Any, injected: bool
) -> None:
    def scaled(factor: float) -> Any:
        return (lambda k: factor * rate(k)) if callable(rate) else factor * rate

    make: Any = innaprop
    if injected:
        make = optax.inject_hyperparams(innaprop, static_args="mask")
    actual, _ = run(make(scaled(2.0), 2.0, 0.5, 0.99, 1e-6, 0.1, mask), start())
    expected, _ = run(optax.adamw(rate, 0.0, 0.99, 1e-6, weight_decay=0.2, mask=mask), start())
    assert_close(actual, expected)


def test_a_partition_by_labels(x64: None) -> None:
    labels = {"layers": ["a", "b"], "scale": "b"}
    parts = {"a": innaprop(0.1, weight_decay=None), "b": innaprop(0.2, weight_decay=None)}
    actual, state = run(optax.partition(parts, labels), start())
    for name, place in (("a", 0), ("b", 1)):
        expected, _ = run(parts[name], start())
        assert_close(actual["layers"][place], expected["layers"][place])
    assert_close(psi(with_psi(state, actual, psi(state, actual)), actual), psi(state, actual))


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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("accumulator", [None, "bfloat16", "float64"])
def test_dtypes(x64: None, dtype: str, accumulator: str | None) -> None:
    params = jnp.array([1.0, -2.0], dtype)
    optimizer = innaprop(0.1, accumulator_dtype=accumulator)
    state = optimizer.init(params)
    reference, moved = innaprop(0.1), params.astype("float64")
    reference_state = reference.init(moved)
    for _ in range(3):
        updates, state = jax.jit(optimizer.update)(params, state, params)
        expected, reference_state = reference.update(
            params.astype("float64"), reference_state, params.astype("float64")
        )
        assert updates.dtype == dtype
        tolerance = 2e-6 if accumulator != "bfloat16" else 1e-2
        tolerance = max(tolerance, float(jnp.finfo(dtype).eps))
        np.testing.assert_allclose(np.asarray(updates, float), expected, rtol=tolerance)
    wide = "float64" in (dtype, accumulator) and accumulator != "bfloat16"
    assert state.nu.dtype == ("float64" if wide else "float32")
    assert state.inner_state.momentum.dtype == accumulator or accumulator is None


def test_stochastic_rounding_and_strict_promotion() -> None:
    with jax.numpy_dtype_promotion("strict"):
        params = jnp.ones(10_000, jnp.bfloat16)
        optimizer = stochastic_rounding(innaprop(COSINE, beta=0.01), 0)
        state = optimizer.init(params)
        updates, state = jax.jit(optimizer.update)(params, state, params)
        mean = jnp.mean(optax.apply_updates(params, updates).astype(jnp.float32))
        # 1 − γβ − γλ, to five standard deviations of 2^-8 dithered over 10,000.
        assert float(mean) == pytest.approx(1 - 0.001 - 0.001, abs=1e-4)
        adamw = damped_adamw(COSINE)
        adamw.update(params, adamw.init(params), params)


def test_the_bias_correction_has_a_count_of_its_own() -> None:
    optimizer, params = innaprop(COSINE, eps=0.0, weight_decay=None), jnp.ones(2)
    _, state = optimizer.update(params, optimizer.init(params))
    restarted = optax.tree.set(state, count=0)
    assert int(restarted.nu_count) == 1
    updates, _ = optimizer.update(params, restarted)
    # A constant gradient is scaled to 1, if V is divided by what it holds.
    w = 0.1 * (1 - 0.1 * 0.9)
    np.testing.assert_allclose(updates, -0.1 * (w + 0.9), rtol=1e-5)


def test_float32_keeps_its_digits_from_the_first_step_on() -> None:
    """1 − σ^t, evaluated plainly, would be off by 1e-5 at first."""
    optimizer, params = innaprop(1.0, 1.0, 1.0, 0.999, 0.0, None), jnp.ones(1)
    state = optimizer.init(params)
    for _ in range(20):
        updates, state = optimizer.update(params, state)
        np.testing.assert_allclose(updates, -1.0, rtol=1e-6)


def test_a_parameter_without_gradient_rests() -> None:
    params = {"a": jnp.ones(2), "b": jnp.ones(3), "none": None}
    optimizer = innaprop(0.1)
    _, state = optimizer.update(params, optimizer.init(params), params)
    updates, later = optimizer.update({"a": None, "b": jnp.ones(3), "none": None}, state, params)
    assert updates["a"] is None
    assert_same_bits(later.nu["a"], state.nu["a"])
    assert_same_bits(later.inner_state.momentum["a"], state.inner_state.momentum["a"])
    assert int(later.nu_count) == 2


def test_energy_and_psi_of_its_state(x64: None) -> None:
    optimizer, params = innaprop(0.1, 0.5, 0.4, weight_decay=None), jnp.ones(2)
    state = optimizer.init(params)
    assert float(energy(state, 3.0)) == pytest.approx(2 * 1.2 * 3)
    assert_close(psi(state, params), 0.8 * params)
    _, state = optimizer.update(params, state)
    w = 0.1 * 0.8 / (1 + 1e-8)
    assert float(energy(state, 3.0)) == pytest.approx(2 * 1.2 * 3 + 2 * w**2)


@pytest.mark.parametrize("jitted", [False, True])
def test_another_optimizer_s_state_is_refused(jitted: bool) -> None:
    params = jnp.ones(2)
    update = jax.jit(innaprop(0.1).update) if jitted else innaprop(0.1).update
    for other in (indian(0.1), optax.adam(0.1)):
        with pytest.raises(TypeError, match="must be an InnapropState, not"):
            update(params, other.init(params), params)
    state: InnapropState = innaprop(0.1).init(params)
    with pytest.raises(ValueError, match="Invalid state: its nu_count"):
        update(params, state._replace(nu_count=jnp.ones(2)), params)
    with pytest.raises(ValueError, match=r"gradients have shape \(2,\), nu \(3,\)"):
        update(params, state._replace(nu=jnp.ones(3)), params)


def test_weight_decay_needs_params() -> None:
    params = jnp.ones(2)
    with pytest.raises(ValueError, match="weight_decay needs `params`"):
        innaprop(0.1).update(params, innaprop(0.1).init(params))


def test_nnx_and_equinox() -> None:
    optimizer = innaprop(0.1, 1.0, 0.5)
    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    wrapped = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
    inputs = jnp.sin(jnp.arange(32.0).reshape(8, 4))

    def of_model(model: Any) -> jax.Array:
        return jnp.mean((jax.vmap(model)(inputs) - 1) ** 2)

    before = of_model(model)
    for _ in range(5):
        nnx.jit(lambda m, o: o.update(m, nnx.grad(of_model)(m)))(model, wrapped)
    assert float(of_model(model)) < 0.7 * float(before)
    params = nnx.state(model, nnx.Param)
    old = wrapped.opt_state
    assert_close(with_psi(old, params, psi(old, params)), old, 1e-5)

    network = eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(0))
    state = optimizer.init(eqx.filter(network, eqx.is_inexact_array))
    before = of_model(network)
    for _ in range(5):
        gradients = eqx.filter_grad(of_model)(network)
        params = eqx.filter(network, eqx.is_inexact_array)
        updates, state = optimizer.update(gradients, state, params)
        network = eqx.apply_updates(network, updates)
    assert float(of_model(network)) < 0.7 * float(before)
