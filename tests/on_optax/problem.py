"""A small problem over a tree of parameters, and plain runs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_optax import damped_adamw, damped_sgd, indian, innaprop

STEPS = 12
METHODS: dict[str, Any] = {
    "indian": indian,
    "innaprop": innaprop,
    "damped_sgd": damped_sgd,
    "damped_adamw": damped_adamw,
}
each_method = pytest.mark.parametrize("make", METHODS.values(), ids=list(METHODS))


def start(dtype: Any = float) -> Any:
    """Return a tree of parameters, in the widest float unless told."""
    random = np.random.default_rng(0)
    layers = [
        {
            "kernel": jnp.array(random.standard_normal(shape), dtype),
            "bias": jnp.array(np.linspace(0.5, 1.5, shape[1]), dtype),
        }
        for shape in ((4, 8), (8, 2))
    ]
    return {"layers": layers, "scale": jnp.array(1.5, dtype)}


def loss(params: Any, k: Any = 0) -> jax.Array:
    """Return a smooth nonlinear loss that changes with k, and is quick to compile."""
    return jnp.stack([jnp.sum(jnp.cos(p + 0.3 * k)) for p in jax.tree.leaves(params)]).sum()


def run(
    optimizer: optax.GradientTransformation,
    params: Any,
    state: Any = None,
    steps: range = range(STEPS),
    loss: Callable[..., jax.Array] = loss,
) -> tuple[Any, Any]:
    """Return parameters and state after these steps, each of them jitted."""

    @jax.jit
    def step(params: Any, state: Any, k: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(jax.grad(loss)(params, k), state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params) if state is None else state
    for k in steps:
        params, state = step(params, state, k)
    return params, state


def assert_close(actual: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Raise unless two trees agree, relative to the largest number of each leaf."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for (path, a), e in zip(
        jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    ):
        where = jax.tree_util.keystr(path)
        assert a.dtype == e.dtype, where
        bound = tolerance * np.abs(e).max()
        np.testing.assert_allclose(np.asarray(a), np.asarray(e), 0, bound, err_msg=where)


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Raise unless two trees are equal to the last bit."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == e.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(e))
