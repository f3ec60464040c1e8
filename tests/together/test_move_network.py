"""A convolutional network that is begun in Keras, continued in PyTorch, and ended in JAX."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="runs in files need it")

import jax
import jax.numpy as jnp
import keras
import optax
import torch

import indian_keras
import indian_optax
import indian_torch
from indian_core.runs.layouts import paired
from tests.conformance.compare import relative_error

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
BATCH = 8  # Keras takes the mean of losses by a factor in float32: a power of 2 is one exactly
if keras.backend.backend() == "torch":
    pytest.skip("Keras on torch does not compute this loss in float64", allow_module_level=True)
RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.standard_normal((BATCH, 8, 8, 1))
TARGETS = RANDOM.standard_normal((BATCH, 2))
METHODS = {
    "INDIAN": (indian_keras.INDIAN, indian_torch.INDIAN, indian_optax.indian),
    "INNAprop": (indian_keras.INNAprop, indian_torch.INNAprop, indian_optax.innaprop),
    "DampedSGD": (indian_keras.DampedSGD, indian_torch.DampedSGD, indian_optax.damped_sgd),
    "DampedAdamW": (
        # Each framework has its own AdamW's defaults.
        functools.partial(indian_keras.DampedAdamW, weight_decay=0.01, epsilon=1e-8),
        functools.partial(indian_torch.DampedAdamW, weight_decay=0.01, eps=1e-8),
        functools.partial(indian_optax.damped_adamw, weight_decay=0.01, eps=1e-8),
    ),
}
EPOCHS = 5


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    x64, floatx = jax.config.jax_enable_x64, keras.config.floatx()
    jax.config.update("jax_enable_x64", True)
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    jax.config.update("jax_enable_x64", x64)


def squash(x: Any) -> Any:
    """Return an activation that every framework computes in float64. (Keras's tanh is float32.)"""
    return x / (1 + x * x)


class Squash(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return squash(x)


def keras_model() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation=squash, name="conv"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(4, activation=squash, name="hidden"),
            layers.Dense(2, name="out"),
        ]
    )


def torch_model() -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        Squash(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(27, 4),
        Squash(),
        nn.Linear(4, 2),
    ).double()


JAX_LAYERS = ["conv", "hidden", "out"]
SHAPES = {
    "conv": {"kernel": (3, 3, 1, 3), "bias": (3,)},
    "hidden": {"kernel": (27, 4), "bias": (4,)},
    "out": {"kernel": (4, 2), "bias": (2,)},
}


def jax_model(params: Any, images: Any) -> Any:
    x = jax.lax.conv_general_dilated(
        images,
        params["conv"]["kernel"],
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    x = squash(x + params["conv"]["bias"])
    x = x.reshape(len(x), 3, 2, 3, 2, 3).mean(axis=(2, 4))
    x = squash(x.reshape(len(x), 27) @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return x @ params["out"]["kernel"] + params["out"]["bias"]


def train_in_jax(params: Any, state: Any, solver: Any, epochs: int) -> tuple[Any, Any]:
    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any]:
        gradient = jax.grad(lambda p: jnp.mean((jax_model(p, IMAGES) - TARGETS) ** 2))(params)
        updates, state = solver.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(epochs):
        params, state = step(params, state)
    return params, state


@pytest.mark.parametrize("method", METHODS)
def test_from_keras_over_torch_to_jax(tmp_path: Path, method: str) -> None:
    in_keras, in_torch, in_jax = METHODS[method]
    path = tmp_path / "run.safetensors"

    model = keras_model()
    model.compile(optimizer=in_keras(learning_rate=0.05), loss="mse")
    start = {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables}
    model.fit(IMAGES, TARGETS, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    indian_keras.save_run(path, model)
    keras_layout = indian_keras.layout(model)

    network = torch_model()
    optimizer = in_torch(network.parameters(), lr=0.05)
    table = paired(keras_layout, indian_torch.layout(network), "keras", "torch")
    # Keras flattens the channels last, PyTorch first.
    flat = table["4.weight"]
    table["4.weight"] = flat._replace(split=(3, 3, 3, 4), axes=(3, 2, 0, 1))
    assert indian_torch.load_run(path, network, optimizer, table) == EPOCHS
    images = torch.tensor(IMAGES).movedim(-1, 1)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        (network(images) - torch.tensor(TARGETS)).square().mean().backward()
        optimizer.step()
    indian_torch.save_run(path, network, optimizer, 2 * EPOCHS)

    zeros = jax.tree.map(jnp.zeros, SHAPES, is_leaf=lambda x: isinstance(x, tuple))
    solver = in_jax(0.05)
    back = paired(
        indian_torch.layout(network), indian_optax.layout(zeros, JAX_LAYERS), "torch", "flax"
    )
    back["hidden/kernel"] = back["hidden/kernel"]._replace(split=(4, 3, 3, 3), axes=(2, 3, 1, 0))
    params, state = indian_optax.load_run(path, zeros, solver.init(zeros), back)
    params, state = train_in_jax(params, state, solver, EPOCHS)

    # The whole run in JAX, from Keras's start.
    start_of = paired(keras_layout, indian_optax.layout(zeros, JAX_LAYERS), "keras", "flax")
    whole = {
        layer: {name: jnp.array(start[start_of[f"{layer}/{name}"].name]) for name in names}
        for layer, names in SHAPES.items()
    }
    whole, whole_state = train_in_jax(whole, solver.init(whole), solver, 3 * EPOCHS)
    ended, expected = (list(map(np.array, jax.tree.leaves(tree))) for tree in (params, whole))
    assert relative_error(ended, expected) <= 1e-12
    ended, expected = (
        [np.array(x) for x in jax.tree.leaves(each) if jnp.ndim(x)] for each in (state, whole_state)
    )
    assert relative_error(ended, expected) <= 1e-12
