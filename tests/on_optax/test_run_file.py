"""Runs in files: what is particular to JAX. (What moves between frameworks: tests/together.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from indian_core.runs.file import load, save
from indian_optax import damped_adamw, damped_sgd, indian, innaprop, layout, load_run, save_run
from tests.on_optax.problem import assert_same_bits

pytest.importorskip("safetensors", reason="runs in files need it")
SCHEDULE = optax.linear_schedule(0.1, 0.01, 10)


def train(params: Any, state: Any, solver: Any, steps: int) -> tuple[Any, Any]:
    for _ in range(steps):
        gradients = jax.tree.map(jnp.cos, params)
        updates, state = solver.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize(
    "solver",
    [
        indian(SCHEDULE, initial_speed=1.0),
        innaprop(SCHEDULE, accumulator_dtype=jnp.bfloat16),
        optax.chain(optax.clip(1.0), optax.inject_hyperparams(innaprop)(SCHEDULE)),
        damped_sgd(SCHEDULE, damping=0.3),
        damped_adamw(SCHEDULE),
        optax.inject_hyperparams(damped_sgd)(SCHEDULE),
        optax.masked(indian(0.1), {"a": True, "b": False, "c": True}),
    ],
)
def test_a_run_goes_on_bit_for_bit(tmp_path: Path, solver: Any) -> None:
    path = tmp_path / "run.safetensors"
    params = {
        "a": jnp.arange(6.0).reshape(2, 3),
        "b": jnp.ones(2, jnp.bfloat16),
        "c": (jnp.array(2.0, jnp.float16),),
    }
    begun = train(params, solver.init(params), solver, 4)
    save_run(path, *begun)
    start = jax.tree.map(jnp.zeros_like, params)
    resumed = load_run(path, start, solver.init(start))
    masked = "b" not in load(path).parameters
    if masked:
        resumed = ({**resumed[0], "b": begun[0]["b"]}, resumed[1])
    assert_same_bits(begun[0], resumed[0])
    assert_same_bits(train(*begun, solver, 3), train(*resumed, solver, 3))
    assert load(path).step == 4


def test_other_hyperparameters_and_several_states_are_refused(tmp_path: Path) -> None:
    params, path = {"a": jnp.ones(2), "b": jnp.ones(3)}, tmp_path / "run.safetensors"
    save_run(path, params, indian(0.1, alpha=0.5, beta=0.1).init(params))
    with pytest.raises(ValueError, match="beta"):
        load_run(path, params, indian(0.1, alpha=0.5, beta=0.2).init(params))
    two = optax.partition({"a": indian(0.1), "b": indian(0.2)}, {"a": "a", "b": "b"})
    with pytest.raises(ValueError, match="2 states"):
        save_run(path, params, two.init(params))
    with pytest.raises(ValueError, match="0 states"):
        save_run(path, params, optax.sgd(0.1).init(params))
    with pytest.raises(ValueError, match="step"):
        save_run(path, params, damped_sgd(0.1).init(params))


def test_a_module_of_nnx(tmp_path: Path) -> None:
    nnx = pytest.importorskip("flax.nnx")
    path, model = tmp_path / "run.safetensors", nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, innaprop(0.1), wrt=nnx.Param)
    for _ in range(2):
        optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
    params = nnx.state(model, nnx.Param)
    save_run(path, params, optimizer.opt_state)
    assert set(load(path).parameters) == {"kernel", "bias"}
    again = nnx.Optimizer(model, innaprop(0.1), wrt=nnx.Param)
    new, state = load_run(path, jax.tree.map(jnp.zeros_like, params), again.opt_state)
    assert_same_bits((new, state), (params, optimizer.opt_state))
    assert {entry.kind for entry in layout(params)} == {"dense kernel", "bias"}


def test_a_model_of_equinox(tmp_path: Path) -> None:
    eqx = pytest.importorskip("equinox")
    keys = iter(jax.random.split(jax.random.key(0), 3))
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 2, 3, key=next(keys)),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.LayerNorm(4),
            eqx.nn.Linear(4, 1, key=next(keys)),
        ]
    )
    assert [(entry.layer, entry.kind) for entry in layout(model)] == [
        ("layers/0", "convolution 2d"),
        ("layers/0", "bias"),
        ("layers/2", "scale"),
        ("layers/2", "bias"),
        ("layers/3", "dense kernel"),
        ("layers/3", "bias"),
    ]
    params, path = eqx.filter(model, eqx.is_array), tmp_path / "run.safetensors"
    save_run(path, params, indian(0.1).init(params))
    assert list(load(path).parameters) == [entry.name for entry in layout(model)]


def test_the_order_of_layers_that_a_tree_does_not_keep() -> None:
    kernel = {"kernel": jnp.ones((1, 1))}
    numbered = {f"Dense_{i}": kernel for i in range(11)}
    assert [entry.layer for entry in layout(numbered)] == list(numbered)
    named = {"first": kernel, "second": kernel, "then": {"scale": jnp.ones(1)}}
    with pytest.raises(ValueError, match="layers"):
        layout(named)
    order = ["then", "second", "first"]
    assert [entry.layer for entry in layout(named, order)] == order
    with pytest.raises(ValueError, match="layers"):
        layout(named, order[:2])
    with pytest.raises(ValueError, match="first/weight"):
        layout({"first": {"weight": jnp.ones(2)}})


def test_schedules_go_on_from_the_step_and_v_from_its_count(tmp_path: Path) -> None:
    """A file of PyTorch, whose parameters were frozen for the first steps."""
    path, params = tmp_path / "run.safetensors", {"a": jnp.ones(2)}
    optimizer = optax.inject_hyperparams(damped_adamw)(SCHEDULE)
    _, state = train(params, optimizer.init(params), optimizer, 3)
    save_run(path, params, state)
    save(path, load(path)._replace(step=8))
    _, resumed = load_run(path, params, optimizer.init(params))
    assert (int(resumed.count), int(resumed.inner_state.count)) == (8, 3)


def test_complex_parameters_are_refused(tmp_path: Path) -> None:
    path, real, wave = tmp_path / "run.safetensors", {"a": jnp.ones(2)}, {"a": jnp.ones(2) + 1j}
    state = indian(0.1).init(wave)
    with pytest.raises(ValueError, match="complex"):
        save_run(path, wave, state)
    save_run(path, real, indian(0.1).init(real))
    with pytest.raises(ValueError, match="complex"):
        load_run(path, wave, state)
