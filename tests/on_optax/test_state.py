"""What a state holds: when the run began, ψ in and out, and the energy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_core import ALPHA, BETA, PAPER
from indian_optax import energy, indian, innaprop, power_decay, psi, with_psi
from tests.on_optax.problem import assert_close, assert_same_bits, run, start

ONE = jnp.ones(1)


@pytest.mark.parametrize("optimizer", [indian(lambda k: 0.1, initial_speed=1.0), innaprop(0.1)])
def test_a_count_set_back_is_no_second_start(optimizer: Any) -> None:
    """As users do for a warm restart of a schedule."""
    state = optimizer.init(ONE)
    for _ in range(2):
        _, state = optimizer.update(ONE, state, ONE)
    updates, unbroken = optimizer.update(ONE, state, ONE)
    again, restarted = optimizer.update(ONE, optax.tree.set(state, count=0), ONE)
    assert_same_bits(again, updates)
    assert_same_bits(*(optax.tree.get(each, "momentum") for each in (restarted, unbroken)))
    assert int(optax.tree.get(restarted, "count")) == 1


@pytest.mark.parametrize("make", [indian, optax.inject_hyperparams(indian)])
def test_a_state_can_be_donated(make: Any) -> None:
    """Its alpha and beta are no one else's buffers: not the injected ones' either."""
    optimizer = make(jnp.asarray(0.1), alpha=jnp.asarray(0.5), beta=jnp.asarray(0.1))
    state = optimizer.init(ONE)
    pointers = [x.unsafe_buffer_pointer() for x in jax.tree.leaves(state)]
    assert len(set(pointers)) == len(pointers)
    jax.jit(optimizer.update, donate_argnums=1)(ONE, state, ONE)


# ψ.

OPTIMIZERS = {
    "plain": indian(0.1),
    "innaprop": innaprop(0.1),
    "chain": optax.chain(optax.clip_by_global_norm(0.5), optax.named_chain(("it", indian(0.1)))),
    "inject": optax.inject_hyperparams(indian)(0.1),
    "MultiSteps": optax.MultiSteps(indian(0.1), 2).gradient_transformation(),
    "partition": optax.partition(
        {"a": indian(0.1), "b": indian(power_decay(0.2))},
        {"layers": ["a", {"kernel": "a", "bias": "b"}], "scale": "b"},
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_psi_out_and_in(x64: None, name: str) -> None:
    params, state = run(OPTIMIZERS[name], start(), steps=range(4))
    before = jax.tree.map(np.array, state)
    found = jax.jit(psi)(state, params)
    assert_close(found, psi(state, params))
    assert_close(with_psi(state, params, found), state)
    assert_close(jax.jit(with_psi)(state, params, found), state)
    other = jax.tree.map(lambda y: y + 1, found)
    assert_close(psi(with_psi(state, params, other), params), other)
    # The given state is left as it is.
    assert_same_bits(jax.tree.map(np.asarray, state), before)


def test_the_state_remembers_what_psi_needs() -> None:
    optimizer = optax.inject_hyperparams(indian)(0.1, alpha=lambda k: 0.5 + k, beta=0.2)
    state = optimizer.init(ONE)
    for _ in range(3):
        _, state = optimizer.update(ONE, state, ONE)
    inner = state.inner_state
    assert (float(inner.alpha), float(inner.beta)) == (2.5, pytest.approx(0.2))
    expected = (1 - 2.5 * 0.2) * 1 + 0.2 * float(inner.momentum[0])
    assert float(psi(state, ONE)[0]) == pytest.approx(expected)


@pytest.mark.parametrize("mask", [{"c": False, "d": False}, False])
def test_masked_parameters_have_no_psi(mask: Any) -> None:
    optimizer = optax.masked(indian(0.1), {"a": True, "b": mask})
    params = {"a": jnp.ones(2), "b": {"c": jnp.ones(3), "d": jnp.ones(1)}}
    state = optimizer.init(params)
    found = psi(state, params)
    assert found["b"] == {"c": optax.MaskedNode(), "d": optax.MaskedNode()}
    assert_close(found["a"], jnp.full(2, 1 - ALPHA * BETA), 1e-6)
    for given in (found, {"a": jnp.ones(2), "b": params["b"]}):
        changed = with_psi(state, params, given)
        assert jax.tree.structure(changed) == jax.tree.structure(state)
        optimizer.update(params, changed, params)


def test_psi_of_16_bits_is_worked_out_in_the_momentum_s() -> None:
    params = {"a": jnp.ones(2, jnp.bfloat16), "none": None, "z": jnp.ones(2, jnp.complex64)}
    state = indian(0.1).init(params)
    found = psi(state, params)
    assert (found["a"].dtype, found["z"].dtype, found["none"]) == (jnp.float32, jnp.complex64, None)
    assert with_psi(state, params, found).momentum["a"].dtype == jnp.float32


@pytest.mark.parametrize(
    "other",
    [
        optax.sgd(0.1, 0.9),
        optax.adam(0.1),
        # Their parameters are not the optimizer's own.
        optax.contrib.schedule_free(indian(0.1), 0.1),
        optax.contrib.mechanize(indian(0.1)),
    ],
    ids=["sgd", "adam", "schedule_free", "mechanize"],
)
def test_psi_of_other_states_is_refused(other: Any) -> None:
    with pytest.raises(ValueError, match="state"):
        psi(other.init(ONE), ONE)
    with pytest.raises(ValueError, match="state"):
        with_psi(other.init(ONE), ONE, ONE)


@pytest.mark.parametrize(
    "other",
    [
        {"a": jnp.ones(2)},
        [jnp.ones(2), jnp.ones(3)],
        {"a": jnp.ones(2), "b": jnp.ones(4)},
        {"a": jnp.ones(2), "b": 1j * jnp.ones(3)},
    ],
)
def test_other_parameters_and_other_psis_are_refused(other: Any) -> None:
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    state = indian(0.1).init(params)
    with pytest.raises(ValueError, match="params"):
        psi(state, other)
    with pytest.raises(ValueError, match="params"):
        with_psi(state, other, params)
    with pytest.raises(ValueError, match="psi"):
        with_psi(state, params, other)


# The energy.


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_energy_counts_the_momentum_of_any_state(x64: None, name: str) -> None:
    _, state = run(OPTIMIZERS[name], start(), steps=range(4))
    alpha, beta, momentum = (
        [found for _, found in optax.tree.get_all_with_path(state, name)]
        for name in ("alpha", "beta", "momentum")
    )
    expected = 2 * (1 + alpha[0] * beta[0]) * 3.0 + optax.tree.norm(momentum, squared=True)
    assert_close(energy(state, 3.0), expected)
    assert_close(jax.jit(energy)(state, 3.0), expected)


def test_complex_and_16_bit_momenta_count() -> None:
    params = {"z": jnp.zeros(2, jnp.complex64), "h": jnp.zeros(2, jnp.bfloat16)}
    solver = indian(1.0, alpha=0.0, beta=0.1, initial_speed=0.1)
    gradients = {"z": jnp.full(2, 3 + 4j), "h": jnp.full(2, 2, jnp.bfloat16)}
    _, state = solver.update(gradients, solver.init(params))
    assert float(energy(state, 0.0)) == pytest.approx(2 * 25 + 2 * 4, rel=1e-6)
    # And a 16-bit loss is not rounded again.
    found = energy(indian(0.1, **PAPER).init(params), jnp.asarray(3.0, jnp.bfloat16))
    assert (found.dtype, float(found)) == (jnp.float32, pytest.approx(6.3, rel=1e-6))


def test_bad_input_of_the_energy_is_refused() -> None:
    state = indian(0.1, **PAPER).init(jnp.ones(3))
    for loss in (jnp.ones(2), jnp.array(1j)):
        with pytest.raises(ValueError, match="loss"):
            energy(state, loss)
    different = optax.partition({"x": indian(0.1), "y": indian(0.1, beta=0.3)}, ["x", "y"])
    for other in (optax.adam(0.1), different):
        with pytest.raises(ValueError, match="state"):
            energy(other.init([ONE, ONE]), 1.0)


@pytest.mark.parametrize("name", ["count", "begun", "alpha"])
def test_a_scalar_of_a_state_that_is_none_is_refused(name: str) -> None:
    params = jnp.ones(2)
    for optimizer in (indian(0.1), innaprop(0.1)):
        state = optax.tree.set(optimizer.init(params), **{name: jnp.ones(2)})
        with pytest.raises(ValueError, match=name):
            optimizer.update(params, state, params)
