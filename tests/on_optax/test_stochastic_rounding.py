"""Stochastic rounding of 16-bit parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_optax import indian, stochastic_rounding
from tests.on_optax.problem import assert_same_bits, each_method, run

each_dtype = pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])


def rounded(updates: Any, params: Any, key: Any = 0) -> Any:
    """Return the parameters after one step."""
    rounding = stochastic_rounding(optax.identity(), key)
    updates, _ = rounding.update(updates, rounding.init(params), params)
    return optax.apply_updates(params, updates)


@each_dtype
@pytest.mark.parametrize("value", [1.0, -1.0, 0.75, -3.0, 2.0**-9])
def test_rounds_to_both_neighbours_in_proportion(dtype: Any, value: float) -> None:
    n = 20_000
    ulp = value * float(jnp.finfo(dtype).eps)  # of values just above a power of two
    for share in (0.25, -0.25, 0.5, 0.9, 1.5, -2.25):
        exact = np.float32(value) + np.float32(share * ulp)
        step = jnp.full(n, exact - value, jnp.float32)
        after = np.asarray(rounded(step, jnp.full(n, value, dtype)), np.float64)
        neighbours = np.unique(after)
        assert len(neighbours) == 2 or exact in neighbours
        low, high = neighbours.min(), neighbours.max()
        assert low <= exact <= high
        # Five standard deviations of a mean of n coins.
        assert abs(after.mean() - exact) <= 5 * (high - low) / 2 / n**0.5


@each_dtype
def test_representable_results_are_exact(dtype: Any) -> None:
    params = jnp.array([1.0, -2.0, 0.0, 5.0], dtype)
    wanted = jnp.array([1.5, -2.0, 0.25, 0.0], jnp.float32)
    assert_same_bits(rounded(wanted - params, params, jax.random.key(3)), wanted.astype(dtype))


@each_dtype
def test_what_is_not_finite_is_left_to_the_cast(dtype: Any) -> None:
    largest = float(jnp.finfo(dtype).max)
    params = jnp.array([1.0, 1.0, 1.0, largest], dtype)
    after = rounded(jnp.array([jnp.nan, jnp.inf, -jnp.inf, largest], jnp.float32), params)
    np.testing.assert_array_equal(np.asarray(after, np.float32), [np.nan, np.inf, -np.inf, np.inf])


def test_other_leaves_pass_unchanged() -> None:
    params = {"half": jnp.ones(2, jnp.bfloat16), "single": jnp.ones(2), "none": None}
    updates = {"half": jnp.ones(2, jnp.bfloat16), "single": jnp.full(2, 1e-3), "none": None}
    rounding = stochastic_rounding(optax.identity(), 0)
    found, _ = rounding.update(updates, rounding.init(params), params)
    assert found["single"] is updates["single"]
    assert found["none"] is None
    assert found["half"].dtype == jnp.bfloat16


def test_keys_give_reproducible_and_fresh_draws() -> None:
    """And leaves of one shape draw apart."""
    params, step = [jnp.ones(1000, jnp.bfloat16)] * 2, [jnp.full(1000, 1e-3)] * 2

    def draws(key: Any) -> Any:
        rounding = stochastic_rounding(optax.identity(), key)
        update = jax.jit(rounding.update)
        first, state = update(step, rounding.init(params), params)
        second, _ = update(step, state, params)
        return first, second

    first, second = draws(0)
    assert_same_bits((first, second), draws(jax.random.key(0)))
    different = [*first, *second, *draws(1)[0]]
    assert len({np.asarray(each, np.float32).tobytes() for each in different}) == 6


@each_method
@each_dtype
def test_small_steps_are_not_lost(dtype: Any, make: Any) -> None:
    """Under a constant gradient θ moves as in float32; rounded to nearest it never moves."""

    def train(optimizer: Any, dtype: Any) -> float:
        start = jnp.ones(4096, dtype)
        params, _ = run(optimizer, start, steps=range(30), loss=lambda p, _: jnp.sum(p))
        return float(jnp.mean(1 - params.astype(jnp.float32)))

    slow = make(2e-6)
    wide = train(slow, jnp.float32)
    assert train(slow, dtype) == 0 < wide
    assert train(stochastic_rounding(slow, 0), dtype) == pytest.approx(wide, rel=0.3)


@each_dtype
def test_a_step_that_float32_would_round_away_is_not_lost(dtype: Any) -> None:
    n, step = 2**22, 1.9 * 2.0**-26
    assert np.float32(1) - np.float32(step) == 1
    moved = int(jnp.sum(rounded(jnp.full(n, -step), jnp.ones(n, dtype)) < 1))
    expected = n * step / (float(jnp.finfo(dtype).eps) / 2)  # below 1: half of eps
    assert abs(moved - expected) <= 5 * expected**0.5


def test_refuses() -> None:
    rounding = stochastic_rounding(optax.identity(), 0)
    params = {"a": jnp.ones(2, jnp.bfloat16)}
    state = rounding.init(params)
    with pytest.raises(ValueError, match="params"):
        rounding.update(params, state)
    with pytest.raises(ValueError, match=r"updates\['a'\]"):
        rounding.update({"a": jnp.ones(3)}, state, params)
    with pytest.raises(TypeError, match="state"):
        rounding.update(params, state.inner_state, params)
    with pytest.raises(TypeError, match="inner"):
        stochastic_rounding(lambda params: params, 0)  # type: ignore[arg-type]
    for key in ("x", None, True, 0.5, jnp.asarray(0.5), jnp.asarray(3)):
        with pytest.raises(TypeError, match="key"):
            stochastic_rounding(optax.identity(), key)


KEYS = [3, np.int64(3), jax.random.key(3), jax.random.PRNGKey(3), np.asarray(jax.random.PRNGKey(3))]


@pytest.mark.parametrize("key", KEYS)
def test_any_checkpoint_holds_any_key(key: Any, tmp_path: Path) -> None:
    optimizer = stochastic_rounding(indian(0.1), key)
    params = jnp.ones(64, jnp.bfloat16)
    _, state = optimizer.update(params / 999, optimizer.init(params), params)
    leaves, treedef = jax.tree.flatten(state)
    np.savez(tmp_path / "state.npz", *leaves)
    loaded = treedef.unflatten(map(jnp.asarray, np.load(tmp_path / "state.npz").values()))
    one, other = (optimizer.update(params / 999, each, params) for each in (state, loaded))
    assert_same_bits(one, other)
    same = stochastic_rounding(indian(0.1), 3)
    assert_same_bits(same.update(params / 999, state, params), one)
