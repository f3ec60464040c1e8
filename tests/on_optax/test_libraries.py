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


def test_an_optimizer_of_nnx() -> None:
    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, OPTIMIZER, wrt=nnx.Param)
    inputs = jnp.sin(jnp.arange(32.0).reshape(8, 4))

    def of_weights(params: Any, _: Any) -> jax.Array:
        return jnp.mean((inputs @ params["kernel"] + params["bias"] - 1) ** 2)

    params = {"kernel": jnp.array(model.kernel[...]), "bias": jnp.array(model.bias[...])}
    expected, _ = run(OPTIMIZER, params, steps=range(4), loss=of_weights)
    step = nnx.jit(lambda m, o: o.update(m, nnx.grad(lambda m: jnp.mean((m(inputs) - 1) ** 2))(m)))
    for _ in range(4):
        step(model, optimizer)
    assert_close({"kernel": model.kernel[...], "bias": model.bias[...]}, expected, 1e-6)

    params = nnx.state(model, nnx.Param)
    before = optimizer.opt_state
    optimizer.opt_state = with_psi(before, params, psi(before, params))
    assert_close(optimizer.opt_state, before, 1e-5)
    step(model, optimizer)


def test_psi_of_a_model_of_equinox() -> None:
    model = eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(0))  # holds functions beside its arrays
    arrays = eqx.filter(model, eqx.is_inexact_array)
    _, state = OPTIMIZER.update(arrays, OPTIMIZER.init(arrays), arrays)
    momentum = optax.tree.get(state, "momentum")
    for params in (arrays, model):
        same = optax.tree.get(with_psi(state, params, psi(state, params)), "momentum")
        assert_close(*(eqx.filter(each, eqx.is_array) for each in (same, momentum)), 1e-5)


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
