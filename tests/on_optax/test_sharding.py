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

OPTIMIZERS = {
    "indian": indian(power_decay(0.1), weight_decay=0.01),
    "innaprop": innaprop(power_decay(0.01)),
    "damped_sgd": damped_sgd(power_decay(0.1), damping=0.3),
    "damped_adamw": damped_adamw(0.01),
}
SPECS = {"hidden": P(None, "model"), "out": P("model", None), "bias": P()}
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=list(OPTIMIZERS))


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


def train(optimizer: Any, put: Any = lambda tree, _: tree, steps: int = 6) -> tuple[Any, Any]:
    """Train, with the parameters and each batch put on their devices first."""

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, inputs: jax.Array) -> tuple[Any, Any]:
        updates, state = optimizer.update(jax.grad(loss)(params, inputs), state, params)
        return optax.apply_updates(params, updates), state

    params = put(start(), SPECS)
    state = optimizer.init(params)
    for k in range(steps):
        params, state = step(params, state, put(batch(k), P("data")))
    return params, state


def on_host(tree: Any) -> Any:
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), tree)


def on_devices(tree: Any, specs: Any, devices: Any = None) -> Any:
    shardings = jax.tree.map(lambda spec: NamedSharding(devices or mesh(), spec), specs)
    return jax.device_put(tree, shardings)


def has_the_parameters_shardings(state: Any) -> bool:
    """Return whether every buffer lies as the parameter of its shape."""
    expected = {start()[name].shape: NamedSharding(mesh(), spec) for name, spec in SPECS.items()}
    buffers = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert len(buffers) >= len(SPECS)
    return all(b.sharding.is_equivalent_to(expected[b.shape], b.ndim) for b in buffers)


@each_optimizer
def test_data_and_model_sharding(x64: None, optimizer: Any) -> None:
    state = optimizer.init(on_devices(start(), SPECS))
    assert has_the_parameters_shardings(state)
    placed = jax.jit(optimizer.init)(on_devices(start(), SPECS))
    assert jax.tree.structure(placed) == jax.tree.structure(state)
    params, state = train(optimizer, on_devices)
    assert has_the_parameters_shardings((params, state))
    assert_close(on_host((params, state)), on_host(train(optimizer)))


def specs_of(optimizer: Any) -> Any:
    """Return the state's specs, in the way that optax documents."""
    state = jax.eval_shape(optimizer.init, start())
    others = {"transform_non_params": lambda _: P()}
    return optax.tree.map_params(optimizer, lambda _, spec: spec, state, SPECS, **others)


@each_optimizer
def test_specs_from_tree_map_params(x64: None, optimizer: Any) -> None:
    shardings = jax.tree.map(lambda spec: NamedSharding(mesh(), spec), specs_of(optimizer))
    assert has_the_parameters_shardings(jax.jit(optimizer.init, out_shardings=shardings)(start()))


@each_optimizer
def test_shard_map(x64: None, optimizer: Any) -> None:
    """Each device makes the whole step, on averaged gradients."""
    devices = Mesh(np.array(jax.devices()[:8]), ("data",))

    def local_step(params: Any, state: Any, inputs: jax.Array) -> tuple[Any, Any]:
        # Of replicated parameters the gradient is summed over the devices by shard_map itself.
        gradients = jax.grad(lambda p: loss(p, inputs) / 8)(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    specs = {"in_specs": (P(), P(), P("data")), "out_specs": (P(), P())}
    mapped = jax.jit(jax.shard_map(local_step, mesh=devices, **specs))
    params = start()
    state = optimizer.init(params)
    for k in range(6):
        params, state = mapped(params, state, batch(k))
    assert_close(on_host((params, state)), on_host(train(optimizer)))


@each_optimizer
def test_shard_map_of_the_optimizer_alone(x64: None, optimizer: Any) -> None:
    """Sharded as ZeRO does it: θ, w and the gradients are split, and no step communicates."""
    devices = Mesh(np.array(jax.devices()[:2]), ("model",))
    of_state = specs_of(optimizer)
    specs = {"in_specs": (SPECS, of_state, SPECS), "out_specs": (SPECS, of_state)}
    sharded = jax.jit(jax.shard_map(optimizer.update, mesh=devices, **specs))
    ends = []
    for update in (sharded, jax.jit(optimizer.update)):
        params = start()
        state = optimizer.init(params)
        for k in range(3):
            updates, state = update(jax.grad(loss)(params, batch(k)), state, params)
            params = optax.apply_updates(on_host(params), on_host(updates))
        ends.append(on_host((params, state)))
    assert_close(*ends)


@pytest.mark.skipif(not hasattr(jax.sharding, "AxisType"), reason="JAX has no explicit meshes")
@each_optimizer
def test_explicit_meshes(x64: None, optimizer: Any) -> None:
    """The arrays' types say how they are sharded, which JAX's own `make_mesh` does by default."""
    explicit = (jax.sharding.AxisType.Explicit,) * 2
    devices = jax.make_mesh((4, 2), ("data", "model"), axis_types=explicit)
    ends = []
    for put in (lambda tree: on_devices(tree, SPECS, devices), on_host):
        params = put(start())
        state = optimizer.init(params)
        for k in range(3):
            gradients = put(jax.tree.map(lambda p, k=k: jnp.sin(p + k), start()))
            updates, state = jax.jit(optimizer.update)(gradients, state, params)
            params = optax.apply_updates(params, updates)
        ends.append((params, state))
    assert has_the_parameters_shardings(ends[0])
    assert_close(on_host(ends[0]), on_host(ends[1]))
