"""Training sharded over eight CPU devices equals training on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
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


def mesh(axis_type: AxisType = AxisType.Auto) -> Mesh:
    return jax.make_mesh((4, 2), ("data", "model"), axis_types=(axis_type,) * 2)


def start() -> dict[str, jax.Array]:
    """Return parameters, two of them so large that an order is imposed on their updates."""
    random = np.random.default_rng(0)
    return {
        "hidden": jnp.array(random.standard_normal((64, 128))),
        "out": jnp.array(random.standard_normal((128, 64))),
        "bias": jnp.zeros(2),
    }


def train(optimizer: Any, put: Callable[[Any], Any], update: Any = None) -> tuple[Any, Any]:
    """Train, with the parameters and the gradients put on their devices first."""
    update = jax.jit(optimizer.update) if update is None else update
    params = put(start())
    state = optimizer.init(params)
    for k in range(3):
        gradients = put(jax.tree.map(lambda p, k=k: jnp.sin(p + k), start()))
        updates, state = update(gradients, state, params)
        params = put(optax.apply_updates(params, updates))
    return params, state


def on_host(tree: Any) -> Any:
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), tree)


def on(devices: Mesh, specs: Any = SPECS) -> Callable[[Any], Any]:
    shardings = jax.tree.map(lambda spec: NamedSharding(devices, spec), specs)
    return lambda tree: jax.device_put(tree, shardings)


def has_the_parameters_shardings(state: Any) -> bool:
    """Return whether every buffer lies as the parameter of its shape."""
    expected = {start()[name].shape: NamedSharding(mesh(), spec) for name, spec in SPECS.items()}
    buffers = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert len(buffers) >= len(SPECS)
    return all(b.sharding.is_equivalent_to(expected[b.shape], b.ndim) for b in buffers)


@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
@each_optimizer
def test_sharded_parameters(x64: None, optimizer: Any, axis_type: AxisType) -> None:
    put = on(mesh(axis_type))
    assert has_the_parameters_shardings(optimizer.init(put(start())))
    found = train(optimizer, put)
    assert has_the_parameters_shardings(found)
    assert_close(on_host(found), train(optimizer, on_host))


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
def test_shard_map_of_the_optimizer_alone(x64: None, optimizer: Any) -> None:
    """Sharded as ZeRO does it: θ, w and the gradients are split, and no step communicates."""
    devices = Mesh(np.array(jax.devices()[:2]), ("model",))
    of_state = specs_of(optimizer)
    specs = {"in_specs": (SPECS, of_state, SPECS), "out_specs": (SPECS, of_state)}
    sharded = jax.jit(jax.shard_map(optimizer.update, mesh=devices, **specs))
    assert_close(on_host(train(optimizer, on_host, sharded)), train(optimizer, on_host))
