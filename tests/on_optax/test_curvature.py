"""The curvature of losses in JAX against `jax.hessian`, and the step size from it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from indian_core.testing import problems
from indian_core.tuning import max_lr
from indian_optax import indian
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


@pytest.mark.usefixtures("x64")
def test_the_curvature_of_a_network_is_the_top_of_its_hessian() -> None:
    params, loss_fn = network()
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    hessian = jax.hessian(lambda theta: loss_fn(unravel(theta)))(flat)
    expected = float(jnp.linalg.eigvalsh(hessian)[-1])
    assert largest_curvature(loss_fn, params) == pytest.approx(expected, rel=1e-3)
    found = suggest_lr(loss_fn, params, alpha=0.3, beta=0.2, safety=0.7)
    assert found.curvature == pytest.approx(expected, rel=1e-3)
    assert found.limit == min(2 / 0.3, max_lr(found.curvature, 0.3, 0.2))
    assert found.lr == 0.7 * found.limit


def test_single_precision_gives_the_same() -> None:
    found = []
    for x64 in (False, True):
        with enable_x64(x64):
            params, loss_fn = network()
            found.append(largest_curvature(loss_fn, params))
    assert found[0] == pytest.approx(found[1], rel=2e-3)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("part", [0.95, 1.05])
def test_the_limit_is_where_training_starts_to_diverge(part: float) -> None:
    h = jnp.array([1.0, 5.0, 30.0])

    def loss_fn(theta: jax.Array) -> jax.Array:
        return jnp.sum(h * theta**2) / 2

    params = jnp.ones(3)
    found = suggest_lr(loss_fn, params, alpha=0.5, beta=0.1)
    solver = indian(part * found.limit, alpha=0.5, beta=0.1, initial_speed=0.1)

    def step(_: int, carry: Any) -> Any:
        params, state = carry
        updates, state = solver.update(jax.grad(loss_fn)(params), state)
        return optax.apply_updates(params, updates), state

    params, _ = jax.lax.fori_loop(0, 600, step, (params, solver.init(params)))
    assert (float(loss_fn(params)) < 1) == (part < 1)


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


def test_flat_concave_and_kinked_losses_are_warned_of() -> None:
    params = jnp.ones(30)
    with pytest.warns(UserWarning, match="flat or concave here") as caught:
        assert suggest_lr(jnp.sum, params, alpha=0.5).limit == 4
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="flat or concave"):
        found = suggest_lr(lambda p: -jnp.sum(p**2), 0.1 * params)
    assert found.curvature == pytest.approx(-2, rel=1e-3)
    with pytest.warns(UserWarning, match="the loss has kinks"):
        assert suggest_lr(lambda p: jnp.sum(jnp.abs(p)), params, 0.5, 0.5).lr < 1


@pytest.mark.parametrize(
    ("loss_fn", "error", "message"),
    [
        (lambda p: p, ValueError, r"Invalid loss: shape \(3,\), float32"),
        (lambda p: jnp.sum(p) * 1j, ValueError, r"complex64 \(it must be a real scalar\)"),
        (lambda p: jnp.sum(p) * jnp.nan, ValueError, "Invalid loss: nan"),
        (lambda p: jnp.sum(jnp.sqrt(p - 1)), ValueError, "its gradient is NaN or infinite"),
        (lambda p: jnp.sum(jnp.abs(p - 1) ** 1.5), ValueError, "second derivatives are NaN"),
        (lambda p: (jnp.sum(p), "auxiliary"), TypeError, "Invalid loss|not a valid JAX type"),
        (lambda p: (jnp.sum(p), jnp.ones(1)), TypeError, "Invalid loss: tuple"),
    ],
)
def test_bad_losses_are_refused(loss_fn: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        suggest_lr(loss_fn, jnp.ones(3))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, ValueError, "Invalid params: there are none, or all are empty"),
        (jnp.ones((0, 3)), ValueError, "Invalid params: there are none, or all are empty"),
        (jnp.arange(3), TypeError, "Invalid params: one is of int32"),
        ({"a": jnp.ones(3), "b": jax.nn.relu}, TypeError, r"Invalid params: .*must be arrays"),
    ],
)
def test_bad_params_are_refused(params: Any, error: type[Exception], message: str) -> None:
    for function in (suggest_lr, largest_curvature):
        with pytest.raises(error, match=message):
            function(lambda _: jnp.ones(()), params)  # type: ignore[operator]


def test_bad_hyperparameters_are_refused() -> None:
    for name in ("alpha", "beta", "safety"):
        with pytest.raises(ValueError, match=f"Invalid {name}: -1.0"):
            suggest_lr(lambda p: jnp.sum(p**2), jnp.ones(3), **{name: -1.0})
