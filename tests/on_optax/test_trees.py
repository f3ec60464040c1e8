"""None leaves, empty trees, masks, other trees and other states."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_core import BETA
from indian_optax import damped_adamw, indian, innaprop, power_decay
from tests.on_optax.problem import assert_close, assert_same_bits, each_method

PARAMS = {"a": jnp.ones(2), "b": jnp.ones(3)}


@each_method
def test_a_parameter_without_gradient_rests(make: Any) -> None:
    params = PARAMS | {"none": None}
    optimizer = make(0.1)
    _, state = optimizer.update(params, optimizer.init(params), params)
    updates, later = optimizer.update(params | {"b": None}, state, params)
    assert updates["b"] is None is updates["none"]

    def buffers(of: Any) -> list[Any]:
        return [leaf for leaf in jax.tree.leaves(of) if leaf.shape == (3,)]

    assert_same_bits(buffers(later), buffers(state))
    assert len(buffers(state)) in (1, 2)


def test_a_late_first_gradient_starts_from_rest(x64: None) -> None:
    optimizer = indian(0.1, alpha=0.5, beta=0.3, initial_speed=1.0)
    v = {"a": jnp.ones(2), "b": jnp.ones(3)}
    _, state = optimizer.update({"a": v["a"], "b": None}, optimizer.init(v))
    updates, _ = optimizer.update(v, state)
    assert_close(updates["b"], -0.1 * 0.3 * v["b"])


@each_method
@pytest.mark.parametrize("empty", [{}, (), {"a": {}, "b": ()}])
def test_empty_trees(empty: Any, make: Any) -> None:
    optimizer = make(0.1)
    updates, _ = optimizer.update(empty, optimizer.init(empty), empty)
    assert updates == empty


def test_tuples_zero_sizes_and_scalars() -> None:
    params = (jnp.zeros((0, 3)), [(jnp.asarray(2.0), np.ones(2, np.float32))], 1.0)
    optimizer = indian(0.1)
    updates, state = optimizer.update(params, optimizer.init(params))
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert jax.tree.map(jnp.shape, state.momentum) == jax.tree.map(jnp.shape, params)
    assert float(updates[2]) == pytest.approx(-0.1 * BETA)


# Weight decay.


@pytest.mark.parametrize("make", [indian, innaprop, damped_adamw])
@pytest.mark.parametrize(
    "mask",
    [
        {"a": True, "b": {"c": False, "d": False}},
        {"a": True, "b": False},
        lambda params: jax.tree.map(lambda p: p.ndim == 1, params),
    ],
)
def test_mask_of_the_weight_decay(x64: None, mask: Any, make: Any) -> None:
    params = {"a": jnp.ones(2), "b": {"c": jnp.ones((2, 2)), "d": jnp.ones((1, 3))}}
    plain, decayed = make(0.1, weight_decay=None), make(0.1, weight_decay=0.5, mask=mask)
    expected, _ = plain.update(params, plain.init(params))
    actual, _ = decayed.update(params, decayed.init(params), params)
    assert_close(actual["b"], expected["b"])
    assert_close(actual["a"], expected["a"] - 0.1 * 0.5)


def test_weight_decay_is_scheduled_with_the_rate(x64: None) -> None:
    optimizer = indian(
        power_decay(0.2), weight_decay=optax.piecewise_constant_schedule(0.5, {2: 0.0})
    )
    params, zero = jnp.ones(2), jnp.zeros(2)
    state = optimizer.init(params)
    for expected in (-0.2 * 0.5, -0.2 / 2**0.5 * 0.5, 0.0):
        updates, state = optimizer.update(zero, state, params)
        np.testing.assert_allclose(updates, expected, rtol=1e-6)
    assert_same_bits(state.momentum, zero)


@pytest.mark.parametrize("make", [indian, innaprop, damped_adamw])
def test_weight_decay_needs_params_and_a_mask_that_fits(make: Any) -> None:
    params = [jnp.ones(2), jnp.ones(3)]
    for mask in (None, [True, False]):
        optimizer = make(0.1, weight_decay=0.1, mask=mask)
        with pytest.raises(ValueError, match="params"):
            optimizer.update(params, optimizer.init(params))
    for mask in ([True], {"a": True}, lambda _: (True, True, True)):
        optimizer = make(0.1, weight_decay=0.1, mask=mask)
        with pytest.raises(ValueError, match="mask"):
            optimizer.update(params, optimizer.init(params), params)
    make(0.1, weight_decay=None).update(params, make(0.1).init(params))


# What does not fit is refused.

OTHERS = [
    {"a": jnp.ones(2)},
    {"a": jnp.ones(2), "c": jnp.ones(3)},
    {"a": jnp.ones(2), "b": {"c": jnp.ones(3)}},
    [jnp.ones(2), jnp.ones(3)],
    {"a": jnp.ones(2), "b": jnp.asarray(1.0)},
]


@pytest.mark.parametrize("other", OTHERS)
@each_method
def test_gradients_and_parameters_that_do_not_match(other: Any, make: Any) -> None:
    optimizer = make(0.1)
    for gradients, params in ((other, PARAMS), (PARAMS, other), (other, other)):
        with pytest.raises(ValueError, match="gradients"):
            optimizer.update(gradients, optimizer.init(PARAMS), params)


@each_method
def test_another_optimizer_s_state_is_refused(make: Any) -> None:
    params, optimizer = jnp.ones(2), make(0.1)
    for other in (optax.adam(0.1), optax.sgd(0.1)):
        with pytest.raises(TypeError, match="state"):
            optimizer.update(params, other.init(params), params)


def test_a_state_of_other_shapes_is_refused() -> None:
    params, optimizer = jnp.ones(2), innaprop(0.1)
    state = optimizer.init(params)
    with pytest.raises(ValueError, match="nu"):
        optimizer.update(params, state._replace(nu=jnp.ones(3)), params)
