"""flax, equinox and orbax: training loops as their users write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as orbax
import pytest
from flax import nnx

from indian_core import PAPER
from indian_optax import indian, power_decay, psi, with_psi
from tests.on_optax.problem import assert_close, assert_same_bits, run, start

OPTIMIZER = optax.chain(
    optax.clip_by_global_norm(1.0), indian(power_decay(0.1), weight_decay=0.01, **PAPER)
)


def test_flax_nnx_optimizer() -> None:
    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, OPTIMIZER, wrt=nnx.Param)
    inputs = jnp.sin(jnp.arange(32.0).reshape(8, 4))

    def of_weights(params: Any, _: Any) -> jax.Array:
        return jnp.mean((inputs @ params["kernel"] + params["bias"] - 1) ** 2)

    @nnx.jit
    def step(model: Any, optimizer: Any) -> None:
        def of_model(model: Any) -> jax.Array:
            return jnp.mean((model(inputs) - 1) ** 2)

        optimizer.update(model, nnx.grad(of_model)(model))

    params = {"kernel": jnp.array(model.kernel[...]), "bias": jnp.array(model.bias[...])}
    for _ in range(4):
        step(model, optimizer)
    expected, _ = run(OPTIMIZER, params, steps=range(4), loss=of_weights)
    assert_close({"kernel": model.kernel[...], "bias": model.bias[...]}, expected, 1e-6)

    params = nnx.state(model, nnx.Param)
    before = optimizer.opt_state
    optimizer.opt_state = with_psi(before, params, psi(before, params))
    assert_close(optimizer.opt_state, before, 1e-5)
    step(model, optimizer)


def test_equinox() -> None:
    model = eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(0))  # holds functions beside its arrays
    inputs = jnp.sin(jnp.arange(32.0).reshape(8, 4))
    state = OPTIMIZER.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model: Any, state: Any) -> Any:
        value, gradients = eqx.filter_value_and_grad(
            lambda model: jnp.mean((jax.vmap(model)(inputs) - 1) ** 2)
        )(model)
        params = eqx.filter(model, eqx.is_inexact_array)
        updates, state = OPTIMIZER.update(gradients, state, params)
        return eqx.apply_updates(model, updates), state, value

    values = []
    for _ in range(8):
        model, state, value = step(model, state)
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]
    for params in (eqx.filter(model, eqx.is_inexact_array), model):
        same = with_psi(state, params, psi(state, params))
        assert_close(
            eqx.filter(optax.tree.get(same, "momentum"), eqx.is_array),
            eqx.filter(optax.tree.get(state, "momentum"), eqx.is_array),
            1e-5,
        )


# Older JAX gives shapes no sharding.
@pytest.mark.filterwarnings("ignore:Sharding info not provided:UserWarning")
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_a_run_restored_by_orbax_goes_on_bit_for_bit(x64: None, tmp_path: Path, dtype: str) -> None:
    unbroken = run(OPTIMIZER, start(dtype))

    half = run(OPTIMIZER, start(dtype), steps=range(5))
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "half", half)
        checkpointer.wait_until_finished()
        empty = jax.eval_shape(lambda: (start(dtype), OPTIMIZER.init(start(dtype))))
        params, state = checkpointer.restore(tmp_path / "half", empty)
    assert_same_bits((params, state), half)
    assert_same_bits(run(OPTIMIZER, params, state, range(5, 12)), unbroken)
