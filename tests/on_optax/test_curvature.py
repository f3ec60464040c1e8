"""The curvature of losses in JAX: trees, dtypes, and what is refused."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from indian_core.testing import problems
from indian_optax.curvature import largest_curvature, suggest_lr
from tests.x64 import enable_x64


def network() -> tuple[Any, Any]:
    inputs = np.random.default_rng(0).standard_normal((64, 6))
    problem = problems.mlp(inputs, np.arange(64) % 3)
    batch = [jnp.asarray(b) for b in problem.batch(0)]
    w1, b1, w2, b2 = map(jnp.asarray, problem.theta_0)
    params = {"hidden": {"kernel": w1, "bias": b1}, "output": (w2, b2)}

    def loss_fn(params: Any) -> jax.Array:
        theta = [params["hidden"]["kernel"], params["hidden"]["bias"], *params["output"]]
        return problem.loss(theta, batch, jnp)  # type: ignore[no-any-return]

    return params, loss_fn


def test_single_precision_gives_the_same() -> None:
    found = []
    for x64 in (False, True):
        with enable_x64(x64):
            params, loss_fn = network()
            found.append(largest_curvature(loss_fn, params))
    assert found[0] == pytest.approx(found[1], rel=2e-3)


def test_leaves_of_several_dtypes_and_complex_ones() -> None:
    params = {
        "half": jnp.ones(4, jnp.bfloat16),
        "number": 2.0,
        "wave": jnp.ones(20, jnp.complex64),
    }

    def loss_fn(params: Any) -> jax.Array:
        # 7 (Re z)² + (Im z)² has curvatures 14 and 2; |z|⁴ at z = 1 has 12 and 4.
        z = params["wave"]
        square = jnp.sum(params["half"].astype(jnp.float32) ** 2) + params["number"] ** 2
        return square + jnp.sum(7 * z.real**2 + z.imag**2 + jnp.abs(z) ** 4)

    assert largest_curvature(loss_fn, params) == pytest.approx(26, rel=2e-3)


def test_flat_and_concave_losses_are_warned_of() -> None:
    params = jnp.ones(30)
    with pytest.warns(UserWarning, match="flat") as caught:
        assert suggest_lr(jnp.sum, params, alpha=0.5).limit == 4
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="concave"):
        found = suggest_lr(lambda p: -jnp.sum(p**2), 0.1 * params)
    assert found.curvature == pytest.approx(-2, rel=1e-3)


@pytest.mark.parametrize(
    ("loss_fn", "error"),
    [
        (lambda p: p, ValueError),
        (lambda p: jnp.sum(p) * 1j, ValueError),
        (lambda p: jnp.sum(p) * jnp.nan, ValueError),
        (lambda p: jnp.sum(jnp.sqrt(p - 1)), ValueError),
        (lambda p: jnp.sum(jnp.abs(p - 1) ** 1.5), ValueError),
        (lambda p: (jnp.sum(p), jnp.ones(1)), TypeError),
    ],
)
def test_bad_losses_are_refused(loss_fn: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"loss|gradient|derivatives"):
        suggest_lr(loss_fn, jnp.ones(3))


def test_bad_params_are_refused() -> None:
    for empty in ({}, jnp.ones((0, 3))):
        with pytest.raises(ValueError, match="params"):
            suggest_lr(lambda _: jnp.ones(()), empty)
    for wrong in (jnp.arange(3), {"a": jnp.ones(3), "b": jax.nn.relu}):
        with pytest.raises(TypeError, match="params"):
            suggest_lr(lambda _: jnp.ones(()), wrong)
