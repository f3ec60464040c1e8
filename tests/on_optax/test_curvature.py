"""The curvature of losses in JAX: trees, dtypes, and what is refused."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from indian_optax import suggest_lr


def test_leaves_of_several_dtypes_and_complex_ones() -> None:
    params = {
        "half": jnp.ones(4, jnp.bfloat16),
        "number": 2.0,
        "wave": jnp.ones(20, jnp.complex64),
    }

    def loss_fn(params: Any) -> jax.Array:
        z = params["wave"]
        square = jnp.sum(params["half"].astype(jnp.float32) ** 2) + params["number"] ** 2
        return square + jnp.sum(7 * z.real**2 + z.imag**2 + 3 * z.real * z.imag)

    # Of the Hessian [[14, 3], [3, 2]] of a complex number's two parts.
    assert suggest_lr(loss_fn, params).curvature == pytest.approx(8 + 45**0.5, rel=2e-3)


def test_flat_and_concave_losses_are_warned_of() -> None:
    params = jnp.ones(30)
    with pytest.warns(UserWarning, match="flat") as caught:
        assert suggest_lr(jnp.sum, params, alpha=0.5).limit == 4
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="concave"):
        found = suggest_lr(lambda p: -jnp.sum(p**2), 0.1 * params)
    assert found.curvature == pytest.approx(-2, rel=1e-3)


@pytest.mark.parametrize(
    ("loss_fn", "params", "error", "name"),
    [
        (lambda p: p, jnp.ones(3), ValueError, "loss"),
        (lambda p: jnp.sum(p) * 1j, jnp.ones(3), ValueError, "loss"),
        (lambda p: jnp.sum(p) * jnp.nan, jnp.ones(3), ValueError, "loss"),
        (lambda p: (jnp.sum(p), jnp.ones(1)), jnp.ones(3), TypeError, "loss"),
        (jnp.sum, jnp.arange(3), TypeError, "params"),
        (lambda p: jnp.sum(p["a"]), {"a": jnp.ones(3), "b": jax.nn.relu}, TypeError, "params"),
        (lambda _: jnp.ones(()), {}, ValueError, "params"),
    ],
)
def test_bad_losses_and_params_are_refused(
    loss_fn: Any, params: Any, error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=name):
        suggest_lr(loss_fn, params)
