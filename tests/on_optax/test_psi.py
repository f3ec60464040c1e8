"""ψ in and out of states of every shape, and continuing the paper's form from it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_core import ALPHA, BETA, initial_psi, step
from indian_optax import indian, power_decay, psi, with_psi
from tests.on_optax.problem import assert_close, assert_same_bits, run, start

OPTIMIZERS = {
    "plain": indian(0.1),
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
    optimizer = OPTIMIZERS[name]
    params, state = run(optimizer, start(), steps=range(4))
    found = psi(state, params)
    momentum = [s.momentum for s in states(state)]
    if len(momentum) == 1:
        expected = jax.tree.map(lambda p, w: (1 - ALPHA * BETA) * p + BETA * w, params, momentum[0])
        assert_close(found, expected)
    same = with_psi(state, params, found)
    assert_close(same, state, 1e-12)
    moved = with_psi(state, params, jax.tree.map(lambda y: y + 1, found))
    assert_close(psi(moved, params), jax.tree.map(lambda y: y + 1, found))


def states(state: Any) -> list[Any]:
    def is_indian(node: Any) -> bool:
        return type(node).__name__ == "IndianState"

    return [s for s in jax.tree.leaves(state, is_leaf=is_indian) if is_indian(s)]


def test_psi_set_before_the_first_step_is_psi_0(x64: None) -> None:
    """The run that follows is eq. (11) from (θ_0, ψ_0), and the schedule starts at its start."""
    schedule = power_decay(0.3)
    optimizer = indian(schedule, ALPHA, BETA, initial_speed=5.0, weight_decay=0.0)
    theta, y = np.array([1.0, -2.0]), np.array([0.3, 0.7])
    params = jnp.array(theta)
    state = with_psi(optimizer.init(params), params, jnp.array(y))
    assert_close(psi(state, params), jnp.array(y))
    for k in range(5):
        v = np.sin(theta + k)
        theta, y = step(theta, y, v, 0.3 / (k + 1) ** 0.5, ALPHA, BETA)
        updates, state = optimizer.update(jnp.sin(params + k), state, params)
        params = optax.apply_updates(params, updates)
        assert int(state.count) == k + 1
    assert_close(params, jnp.array(theta))
    assert_close(psi(state, params), jnp.array(y))


def test_the_paper_s_psi_0_is_the_first_step(x64: None) -> None:
    theta, v = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    for speed in (1.0, BETA, 3.0):
        optimizer, params = indian(0.1, ALPHA, BETA, speed), jnp.array(theta)
        psi_0 = initial_psi(theta, v, ALPHA, BETA, speed)
        given = with_psi(optimizer.init(params), params, jnp.array(psi_0))
        expected, _ = optimizer.update(jnp.array(v), given)
        actual, _ = optimizer.update(jnp.array(v), optimizer.init(params))
        assert_close(actual, expected)
        assert_close(actual, jnp.array(-0.1 * speed * v), 1e-12)


def test_in_mid_run_the_count_stays() -> None:
    params, state = run(indian(0.1), start(), steps=range(3))
    assert int(with_psi(state, params, params).count) == 3


def test_the_given_state_is_left_as_it_is() -> None:
    params, state = run(indian(0.1), start(), steps=range(2))
    before = jax.tree.map(np.array, state)
    with_psi(state, params, jax.tree.map(jnp.zeros_like, params))
    assert_same_bits(jax.tree.map(np.asarray, state), before)


def test_masked_parameters_have_no_psi() -> None:
    for mask in ({"a": True, "b": {"c": False, "d": False}}, {"a": True, "b": False}):
        optimizer = optax.masked(indian(0.1), mask)
        params = {"a": jnp.ones(2), "b": {"c": jnp.ones(3), "d": jnp.ones(1)}}
        state = optimizer.init(params)
        found = psi(state, params)
        assert found["b"] == {"c": optax.MaskedNode(), "d": optax.MaskedNode()}
        assert_close(found["a"], jnp.full(2, 1 - ALPHA * BETA), 1e-6)
        for given in (found, {"a": jnp.ones(2), "b": params["b"]}):
            changed = with_psi(state, params, given)
            assert jax.tree.structure(changed) == jax.tree.structure(state)
            optimizer.update(params, changed, params)


def test_low_precision_is_worked_out_in_the_momentum_s() -> None:
    params = {"a": jnp.ones(2, jnp.bfloat16), "none": None, "z": jnp.ones(2, jnp.complex64)}
    state = indian(0.1).init(params)
    found = psi(state, params)
    assert found["a"].dtype == jnp.float32
    assert found["z"].dtype == jnp.complex64
    assert found["none"] is None
    state = with_psi(state, params, found)
    assert state.momentum["a"].dtype == jnp.float32


def test_under_jit(x64: None) -> None:
    params, state = run(indian(0.1), start(), steps=range(2))
    expected = psi(state, params)
    assert_close(jax.jit(psi)(state, params), expected)
    assert_close(jax.jit(with_psi)(state, params, expected), state, 1e-12)
    fresh = jax.jit(with_psi)(indian(0.1).init(params), params, expected)
    assert int(fresh.count) == 0
    assert bool(fresh.begun)


def test_refuses() -> None:
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    state = indian(0.1).init(params)
    with pytest.raises(ValueError, match="holds no IndianState"):
        psi(optax.sgd(0.1, 0.9).init(params), params)
    with pytest.raises(ValueError, match="holds no IndianState"):
        with_psi(optax.adam(0.1).init(params), params, params)
    for other in ({"a": jnp.ones(2)}, [jnp.ones(2), jnp.ones(3)]):
        with pytest.raises(ValueError, match="tree of the parameters"):
            psi(state, other)
        with pytest.raises(ValueError, match="tree of the parameters"):
            with_psi(state, params, other)
    with pytest.raises(ValueError, match=r"tree of the parameters.* is not that of the state"):
        psi(state, {"a": jnp.ones(2), "b": None})
    wrong = {"a": jnp.ones(2), "b": jnp.ones(4)}
    with pytest.raises(ValueError, match=r"parameters\['b'\] have shape \(4,\)"):
        psi(state, wrong)
    with pytest.raises(ValueError, match=r"psi \(4,\)"):
        with_psi(state, params, wrong)
