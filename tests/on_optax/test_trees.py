"""Dtypes, None leaves, empty trees, masks, and trees that do not match."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_core import BETA
from indian_optax import indian, power_decay
from tests.on_optax.problem import assert_close, assert_same_bits

DTYPES = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


def all_dtypes() -> dict[str, jax.Array]:
    return {dtype: jnp.array([1.5, -0.25], dtype) for dtype in DTYPES}


@pytest.mark.parametrize("rate", [0.1, power_decay(0.1), optax.cosine_decay_schedule(0.1, 9)])
@pytest.mark.parametrize("decay", [None, 0.1])
def test_all_dtypes_in_one_tree(x64: None, rate: Any, decay: float | None) -> None:
    optimizer = indian(rate, weight_decay=decay)
    params = all_dtypes()
    state = optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update(params, state, params)
        params = optax.apply_updates(params, updates)
    for dtype in DTYPES:
        momentum = "float32" if dtype in ("float16", "bfloat16") else dtype
        assert state.momentum[dtype].dtype == momentum
        assert updates[dtype].dtype == params[dtype].dtype == dtype
        bound = float(jnp.finfo(dtype).eps) if momentum == "float32" else 1e-6
        np.testing.assert_allclose(
            np.asarray(params[dtype], np.complex128).real,
            np.asarray(params["float64"]),
            rtol=8 * bound,
        )
    assert_close(params["complex128"].real, params["float64"], 1e-14)


def test_sixteen_bit_parameters_with_float32_gradients() -> None:
    params, gradients = jnp.ones(3, jnp.bfloat16), jnp.full(3, 0.1)
    updates, _ = indian(0.1).update(gradients, indian(0.1).init(params), params)
    assert updates.dtype == jnp.float32
    assert_close(updates, jnp.full(3, -0.01 * BETA), 1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_accumulator_dtype(x64: None, dtype: str) -> None:
    optimizer = indian(0.1, accumulator_dtype=dtype)
    params = all_dtypes()
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(params, state, params)
    for name, momentum in state.momentum.items():
        expected = jnp.promote_types(dtype, "complex64") if "complex" in name else dtype
        assert momentum.dtype == expected
        assert updates[name].dtype == name
        # The momentum is rounded when it is stored, and not before.
        assert_close(
            momentum.astype("complex128"),
            state.momentum["float64"].astype("complex128"),
            4 * max(float(jnp.finfo(d).eps) for d in (dtype, name)),
        )


def test_complex_leaves_are_two_real_ones(x64: None) -> None:
    """The step is linear: real and imaginary parts do not meet."""
    optimizer = indian(0.1, weight_decay=0.1)
    params, gradients = jnp.array([1.0 + 2.0j]), jnp.array([0.5 - 1.0j])
    updates, state = optimizer.update(gradients, optimizer.init(params), params)
    updates, state = optimizer.update(gradients, state, params)
    for part in (jnp.real, jnp.imag):
        u, s = optimizer.update(part(gradients), optimizer.init(part(params)), part(params))
        u, s = optimizer.update(part(gradients), s, part(params))
        assert_close(part(updates), u)
        assert_close(part(state.momentum), s.momentum)


def test_none_leaves_as_in_optax() -> None:
    params = {"a": jnp.ones(2), "none": None}
    optimizer = indian(0.1, weight_decay=0.1)
    updates, state = optimizer.update(params, optimizer.init(params), params)
    assert updates["none"] is None
    assert state.momentum["none"] is None


def test_a_parameter_without_gradient_rests() -> None:
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    optimizer = indian(0.1, weight_decay=0.1)
    _, state = optimizer.update(params, optimizer.init(params), params)
    updates, later = optimizer.update({"a": jnp.ones(2), "b": None}, state, params)
    assert updates["b"] is None
    assert_same_bits(later.momentum["b"], state.momentum["b"])
    assert_same_bits(
        optax.apply_updates(params, {"a": updates["a"], "b": jnp.zeros(3)}),
        {
            "a": params["a"] + updates["a"],
            "b": params["b"],
        },
    )


@pytest.mark.parametrize("empty", [{}, (), [], {"a": {}, "b": ()}, None])
@pytest.mark.parametrize("decay", [None, 0.1])
def test_empty_trees(empty: Any, decay: float | None) -> None:
    optimizer = indian(0.1, weight_decay=decay)
    if empty is None and decay is not None:
        return  # params=None means "not given"
    updates, state = optimizer.update(empty, optimizer.init(empty), empty)
    assert updates == empty
    assert int(state.count) == 1


def test_tuples_zero_sizes_and_scalars() -> None:
    params = (jnp.zeros((0, 3)), [(jnp.asarray(2.0), np.ones(2, np.float32))], 1.0)
    optimizer = indian(0.1)
    updates, state = optimizer.update(params, optimizer.init(params))
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert jax.tree.map(jnp.shape, state.momentum) == jax.tree.map(jnp.shape, params)
    assert float(updates[2]) == pytest.approx(-0.1 * BETA)


@pytest.mark.parametrize(
    "mask",
    [
        {"a": True, "b": {"c": False, "d": False}},
        {"a": True, "b": False},
        lambda params: jax.tree.map(lambda p: p.ndim == 1, params),
    ],
)
def test_mask_of_the_weight_decay(x64: None, mask: Any) -> None:
    params = {"a": jnp.ones(2), "b": {"c": jnp.ones((2, 2)), "d": jnp.ones((1, 3))}}
    plain, decayed = indian(0.1), indian(0.1, weight_decay=0.5, mask=mask)
    expected, _ = plain.update(params, plain.init(params))
    actual, state = decayed.update(params, decayed.init(params), params)
    assert_close(actual["b"], expected["b"])
    assert_close(actual["a"], expected["a"] - 0.1 * 0.5)
    assert_close(state.momentum, plain.update(params, plain.init(params))[1].momentum)


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


@pytest.mark.parametrize("mask", [None, [True, False], lambda _: [True, False]])
def test_weight_decay_needs_params(mask: Any) -> None:
    params = [jnp.ones(2), jnp.ones(3)]
    optimizer = indian(0.1, weight_decay=0.1, mask=mask)
    with pytest.raises(ValueError, match="weight_decay needs `params`"):
        optimizer.update(params, optimizer.init(params))
    indian(0.1).update(params, indian(0.1).init(params))


@pytest.mark.parametrize("mask", [[True], {"a": True}, lambda _: (True, True, True)])
def test_a_mask_that_does_not_fit_is_refused(mask: Any) -> None:
    params = [jnp.ones(2), jnp.ones(3)]
    optimizer = indian(0.1, weight_decay=0.1, mask=mask)
    with pytest.raises(ValueError, match="tree of the mask"):
        optimizer.update(params, optimizer.init(params), params)


@pytest.mark.parametrize(
    ("gradients", "text"),
    [
        ({"a": jnp.ones(2)}, "tree of the gradients"),
        ({"a": jnp.ones(2), "c": jnp.ones(3)}, "tree of the gradients"),
        ({"a": jnp.ones(2), "b": {"c": jnp.ones(3)}}, "tree of the gradients"),
        ([jnp.ones(2), jnp.ones(3)], "tree of the gradients"),
        (jnp.ones(2), "tree of the gradients"),
        ({"a": jnp.ones(2), "b": jnp.ones(2)}, r"gradients\['b'\] have shape \(2,\).*\(3,\)"),
        ({"a": jnp.ones(2), "b": jnp.ones((1, 3))}, r"gradients\['b'\] have shape \(1, 3\)"),
        ({"a": jnp.ones(2), "b": jnp.asarray(1.0)}, r"gradients\['b'\] have shape \(\)"),
    ],
)
def test_trees_that_do_not_match(gradients: Any, text: str) -> None:
    optimizer = indian(0.1)
    state = optimizer.init({"a": jnp.ones(2), "b": jnp.ones(3)})
    with pytest.raises(ValueError, match=text):
        optimizer.update(gradients, state)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"a": jnp.ones(2)}, "tree of the gradients"),
        ([jnp.ones(2), jnp.ones(3)], "tree of the gradients"),
        ({"a": jnp.ones(2), "b": None}, "tree of the gradients"),
        ({"a": jnp.ones(2), "b": jnp.asarray(1.0)}, r"gradients\['b'\] have shape \(3,\), .*\(\)"),
        ({"a": jnp.ones((2, 2)), "b": jnp.ones(3)}, r"gradients\['a'\] have shape \(2,\)"),
    ],
)
def test_decayed_params_that_do_not_match(params: Any, text: str) -> None:
    optimizer = indian(0.1, weight_decay=0.1)
    gradients = {"a": jnp.ones(2), "b": jnp.ones(3)}
    with pytest.raises(ValueError, match=text):
        optimizer.update(gradients, optimizer.init(gradients), params)


@pytest.mark.parametrize("decay", [None, 0.1])
@pytest.mark.parametrize("jitted", [False, True])
def test_another_optimizer_s_state_is_refused(decay: float | None, jitted: bool) -> None:
    params = jnp.ones(2)
    optimizer = indian(0.1, weight_decay=decay)
    update = jax.jit(optimizer.update) if jitted else optimizer.update
    for other, name in (
        (optax.sgd(0.1, momentum=0.9).init(params), "tuple"),
        (optax.trace(0.9).init(params), "TraceState"),
        ((jnp.asarray(0), params), "tuple"),
        (None, "NoneType"),
    ):
        with pytest.raises(TypeError, match=f"must be an IndianState, not {name}"):
            update(params, other, params)


def test_a_late_first_gradient_starts_from_rest(x64: None) -> None:
    optimizer = indian(0.1, alpha=0.5, beta=0.3, initial_speed=1.0)
    v = {"a": jnp.ones(2), "b": jnp.ones(3)}
    _, state = optimizer.update({"a": v["a"], "b": None}, optimizer.init(v))
    updates, _ = optimizer.update(v, state)
    assert_close(updates["b"], -0.1 * 0.3 * v["b"])
