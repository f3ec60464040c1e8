"""Runs in files: what is particular to Keras. (What moves between frameworks: tests/together.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from indian_core.runs.file import load
from indian_core.runs.layouts import paired
from indian_keras import (
    INDIAN,
    DampedAdamW,
    DampedSGD,
    INNAprop,
    PowerDecay,
    layout,
    load_run,
    save_run,
)
from tests.on_keras.runs import assert_same_bits

pytest.importorskip("safetensors", reason="runs in files need it")
OPTIMIZERS = {
    "INDIAN": lambda: INDIAN(0.01),
    "INNAprop": lambda: INNAprop(0.01),
    "DampedSGD": lambda: DampedSGD(0.01),
    "without slots": lambda: DampedSGD(0.01, momentum=0),
    "scheduled damping": lambda: DampedSGD(0.01, damping=PowerDecay(0.9, 0.01)),
    "DampedAdamW": lambda: DampedAdamW(0.01),
}
INPUTS, TARGETS = np.linspace(-1, 1, 12).reshape(4, 3), np.ones((4, 2))


def network(optimizer: Any, dtype: str = "float32") -> Any:
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.Sequential([keras.layers.Dense(4, dtype=dtype)]),
            keras.layers.LayerNormalization(dtype=dtype),
            keras.layers.Dense(2, dtype=dtype),
        ]
    )
    model.compile(optimizer=optimizer, loss="mse")
    return model


def train(model: Any, steps: int) -> None:
    model.fit(INPUTS, TARGETS, batch_size=4, epochs=steps, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "bfloat16") for name in OPTIMIZERS), ("INDIAN", "mixed_float16")]
)
def test_a_run_goes_on_bit_for_bit(tmp_path: Path, name: str, dtype: str) -> None:
    path = tmp_path / "run.safetensors"
    made = [OPTIMIZERS[name]() for _ in range(2)]
    if dtype == "mixed_float16":
        made = [keras.optimizers.LossScaleOptimizer(each, initial_scale=8.0) for each in made]
    model, other = (network(optimizer, dtype) for optimizer in made)
    train(model, 3)
    save_run(path, model)
    train(other, 1)
    table = paired(layout(model), layout(other), "keras", "keras")
    assert load_run(path, other, table) == 3
    train(model, 3)
    train(other, 3)
    assert_same_bits(model.trainable_variables, other.trainable_variables)
    assert int(other.optimizer.iterations) == 6


def test_variables_without_weight_decay_are_a_group(tmp_path: Path) -> None:
    optimizer = INNAprop(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model, path = network(optimizer), tmp_path / "run.safetensors"
    save_run(path, model)
    run = load(path)
    for name, parameter in run.parameters.items():
        decay = 0.0 if name.endswith("bias") else 0.1
        assert run.groups[parameter.group]["weight_decay"] == decay
    load_run(path, model)
    optimizer.weight_decay = 0.2
    with pytest.raises(ValueError, match="weight_decay"):
        load_run(path, model)


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (INDIAN(use_ema=True), "moving average"),
        (INDIAN(gradient_accumulation_steps=2), "accumulating"),
        (keras.optimizers.SGD(), "optimizer"),
    ],
)
def test_a_state_that_a_file_does_not_hold(tmp_path: Path, optimizer: Any, words: str) -> None:
    model, path = network(optimizer), tmp_path / "run.safetensors"
    train(model, 1)
    with pytest.raises((TypeError, ValueError), match=words):
        save_run(path, model)
    assert not path.exists()


def test_a_state_between_two_sums(tmp_path: Path) -> None:
    optimizer = INDIAN(gradient_accumulation_steps=2)
    model, path = network(optimizer), tmp_path / "run.safetensors"
    train(model, 2)
    save_run(path, model)
    assert (load(path).step, load_run(path, model)) == (1, 1)
    assert int(optimizer.iterations) == 1


def test_sgds_slots_are_in_the_file_in_torchs_form(tmp_path: Path) -> None:
    """s = −slot/lr, the sum of gradients that PyTorch's SGD calls momentum_buffer."""
    model, path = network(DampedSGD(0.125, damping=0.3)), tmp_path / "run.safetensors"
    train(model, 3)
    save_run(path, model)
    run = load(path)
    numbers = {"lr": 0.125, "momentum": 0.9, "damping": 0.3, "nesterov": False}
    assert run.groups[0].items() >= numbers.items()
    for parameter, slot in zip(run.parameters.values(), model.optimizer.momentums, strict=True):
        np.testing.assert_allclose(parameter.w, -8 * np.array(keras.ops.convert_to_numpy(slot)))
    model.optimizer.learning_rate = 0.0
    with pytest.raises(ValueError, match="learning rate"):
        save_run(path, model)
    assert load(path).step == 3


def test_a_layout() -> None:
    model = network(INDIAN())
    assert [entry.kind for entry in layout(model)] == [
        *("dense kernel", "bias"),
        *("scale", "bias"),
        *("dense kernel", "bias"),
    ]
    assert [entry.name for entry in layout(model)] == [v.path for v in model.trainable_variables]
    other = keras.Sequential([keras.Input((3, 4)), keras.layers.GRU(2)])
    with pytest.raises(ValueError, match="no layout is known of"):
        layout(other)
