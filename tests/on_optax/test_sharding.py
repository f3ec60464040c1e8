"""Training sharded over eight CPU devices equals training on one."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from indian_optax import damped_adamw, damped_sgd, indian, innaprop, power_decay
from tests.on_optax.problem import assert_close

pytestmark = pytest.mark.skipif(
    jax.device_count() < 8, reason="needs eight devices: JAX was running before the tests set them"
)

OPTIMIZER = indian(power_decay(0.1), weight_decay=0.01)
SCALED = innaprop(power_decay(0.01))
SPECS = {"hidden": P(None, "model"), "out": P("model", None), "bias": P()}


def mesh() -> Mesh:
    return Mesh(np.array(jax.devices()[:8]).reshape(4, 2), ("data", "model"))


def start() -> dict[str, jax.Array]:
    random = np.random.default_rng(0)
    return {
        "hidden": jnp.array(random.standard_normal((4, 8))),
        "out": jnp.array(random.standard_normal((8, 2))),
        "bias": jnp.zeros(2),
    }


def batch(k: Any) -> jax.Array:
    return jnp.sin(jnp.arange(64.0).reshape(16, 4) + k)


def loss(params: Any, inputs: jax.Array) -> jax.Array:
    outputs = jnp.tanh(inputs @ params["hidden"]) @ params["out"] + params["bias"]
    return jnp.mean((outputs - inputs[:, :2] ** 2) ** 2)


def step(params: Any, state: Any, inputs: jax.Array) -> tuple[Any, Any]:
    updates, state = OPTIMIZER.update(jax.grad(loss)(params, inputs), state, params)
    return optax.apply_updates(params, updates), state


def on_one_device() -> tuple[Any, Any]:
    params = start()
    state = OPTIMIZER.init(params)
    for k in range(6):
        params, state = jax.jit(step)(params, state, batch(k))
    return params, state


def on_host(tree: Any) -> Any:
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), tree)


def test_data_and_model_sharding(x64: None) -> None:
    shardings = {name: NamedSharding(mesh(), spec) for name, spec in SPECS.items()}
    params = jax.device_put(start(), shardings)
    state = OPTIMIZER.init(params)
    for name, sharding in shardings.items():
        assert state.momentum[name].sharding.is_equivalent_to(sharding, params[name].ndim)
    jitted_state = jax.jit(OPTIMIZER.init)(params)
    assert jax.tree.structure(jitted_state) == jax.tree.structure(state)

    compiled = jax.jit(step, donate_argnums=(0, 1))
    for k in range(6):
        inputs = jax.device_put(batch(k), NamedSharding(mesh(), P("data")))
        params, state = compiled(params, state, inputs)
    for name, sharding in shardings.items():
        assert params[name].sharding.is_equivalent_to(sharding, params[name].ndim)
        assert state.momentum[name].sharding.is_equivalent_to(sharding, params[name].ndim)
    assert_close(on_host((params, state)), on_host(on_one_device()))


def test_specs_from_tree_map_params(x64: None) -> None:
    """The way to the state's shardings that optax documents."""
    state = jax.eval_shape(OPTIMIZER.init, start())
    shardings = optax.tree.map_params(
        OPTIMIZER,
        lambda _, spec: NamedSharding(mesh(), spec),
        state,
        SPECS,
        transform_non_params=lambda _: NamedSharding(mesh(), P()),
    )
    placed = jax.jit(OPTIMIZER.init, out_shardings=shardings)(start())
    for name, spec in SPECS.items():
        expected = NamedSharding(mesh(), spec)
        assert placed.momentum[name].sharding.is_equivalent_to(expected, start()[name].ndim)


def test_shard_map(x64: None) -> None:
    """Each device makes the step of its own shard of θ and w, on averaged gradients."""
    devices = Mesh(np.array(jax.devices()[:8]), ("data",))

    def local_step(params: Any, state: Any, inputs: jax.Array) -> tuple[Any, Any]:
        # Of replicated parameters the gradient is summed over the devices by shard_map itself.
        gradients = jax.grad(lambda p: loss(p, inputs) / 8)(params)
        updates, state = OPTIMIZER.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    mapped = jax.jit(
        jax.shard_map(
            local_step, mesh=devices, in_specs=(P(), P(), P("data")), out_specs=(P(), P())
        )
    )
    params = start()
    state = OPTIMIZER.init(params)
    for k in range(6):
        params, state = mapped(params, state, batch(k))
    assert_close(on_host((params, state)), on_host(on_one_device()))


@pytest.mark.parametrize("optimizer", [OPTIMIZER, SCALED], ids=["indian", "innaprop"])
def test_shard_map_of_the_optimizer_alone(x64: None, optimizer: Any) -> None:
    """Sharded as ZeRO does it: θ, w and the gradients are split, and no step communicates."""
    devices = Mesh(np.array(jax.devices()[:2]), ("model",))
    state_specs = optax.tree.map_params(
        optimizer,
        lambda _, spec: spec,
        jax.eval_shape(optimizer.init, start()),
        SPECS,
        transform_non_params=lambda _: P(),
    )
    sharded = jax.jit(
        jax.shard_map(
            optimizer.update,
            mesh=devices,
            in_specs=(SPECS, state_specs, SPECS),
            out_specs=(SPECS, state_specs),
        )
    )
    ends = []
    for update in (sharded, jax.jit(optimizer.update)):
        params = start()
        state = optimizer.init(params)
        for k in range(6):
            gradients = jax.grad(loss)(params, batch(k))
            updates, state = update(gradients, state, params)
            params = optax.apply_updates(on_host(params), on_host(updates))
        ends.append(on_host((params, state)))
    assert_close(*ends)


def test_innaprop_with_named_shardings(x64: None) -> None:
    shardings = {name: NamedSharding(mesh(), spec) for name, spec in SPECS.items()}
    ends = []
    for params in (jax.device_put(start(), shardings), start()):
        state = SCALED.init(params)

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def scaled_step(params: Any, state: Any, inputs: jax.Array) -> tuple[Any, Any]:
            updates, state = SCALED.update(jax.grad(loss)(params, inputs), state, params)
            return optax.apply_updates(params, updates), state

        for k in range(6):
            params, state = scaled_step(params, state, batch(k))
        ends.append((params, state))
    for name, sharding in shardings.items():
        assert ends[0][1].nu[name].sharding.is_equivalent_to(sharding, start()[name].ndim)
    assert_close(on_host(ends[0]), on_host(ends[1]))


@pytest.mark.skipif(not hasattr(jax.sharding, "AxisType"), reason="JAX has no explicit meshes")
@pytest.mark.parametrize(
    "optimizer",
    [OPTIMIZER, SCALED, damped_sgd(power_decay(0.1), damping=0.3), damped_adamw(0.01)],
    ids=["indian", "innaprop", "damped_sgd", "damped_adamw"],
)
def test_explicit_meshes(x64: None, optimizer: Any) -> None:
    """The arrays' types say how they are sharded, which JAX's own `make_mesh` does by default."""
    explicit = (jax.sharding.AxisType.Explicit,) * 2
    devices = jax.make_mesh((4, 2), ("data", "model"), axis_types=explicit)
    shardings = {name: NamedSharding(devices, spec) for name, spec in SPECS.items()}
    ends = []
    for put in (lambda tree: jax.device_put(tree, shardings), on_host):
        params = put(start())
        state = optimizer.init(params)
        for k in range(6):
            gradients = put(jax.tree.map(lambda p, k=k: jnp.sin(p + k), start()))
            updates, state = jax.jit(optimizer.update)(gradients, state, params)
            params = optax.apply_updates(params, updates)
        ends.append((params, state))
    for name, sharding in shardings.items():
        assert ends[0][0][name].sharding.is_equivalent_to(sharding, start()[name].ndim)
    assert_close(on_host(ends[0]), on_host(ends[1]))
