"""Saved and loaded in mid-training: the run goes on as if nothing had happened, or is refused."""

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
from tests.on_keras.runs import (
    BACKEND,
    apply,
    arrays,
    assert_same_bits,
    each_method,
    fit,
    gradients,
    model,
    slots,
    variables,
)

OPTIMIZERS = {
    "INDIAN": lambda: INDIAN(PowerDecay(0.05)),
    "INNAprop": lambda: INNAprop(0.05),
    "DampedSGD": lambda: DampedSGD(0.05, damping=PowerDecay(0.75, 0.125)),
    "without slots": lambda: DampedSGD(0.05, momentum=0),
    "DampedAdamW": lambda: DampedAdamW(0.05),
    "ema": lambda: INDIAN(0.25, use_ema=True, ema_overwrite_frequency=3),
    "summed": lambda: INDIAN(0.25, gradient_accumulation_steps=3),
}


def state(made: keras.Model) -> list[np.ndarray]:
    return arrays([*made.trainable_variables, *made.optimizer.variables])


def saved_and_loaded(made: keras.Model, folder: Path) -> keras.Model:
    made.save(folder / "run.keras")
    loaded = keras.models.load_model(folder / "run.keras")
    assert type(loaded.optimizer) is type(made.optimizer)
    assert loaded.optimizer.get_config() == made.optimizer.get_config()
    assert_same_bits(state(loaded), state(made))
    return loaded


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(kind: str, tmp_path: Path) -> None:
    if BACKEND == "jax" and kind == "ema":
        pytest.skip("Keras 3.15 on JAX cannot fit twice with an average, with Adam neither")
    unbroken, broken = (model(OPTIMIZERS[kind]()) for _ in range(2))
    fit(unbroken), fit(broken)
    resumed = saved_and_loaded(broken, tmp_path)
    fit(unbroken), fit(resumed)
    assert_same_bits(state(resumed), state(unbroken))


def test_a_schedule_set_in_mid_training_survives_saving(tmp_path: Path) -> None:
    """The variable that held the rate is no longer there then, in the file neither."""
    unbroken, broken = (model(INDIAN(0.25)) for _ in range(2))
    for made in (unbroken, broken):
        fit(made)
        made.optimizer.learning_rate = PowerDecay(0.5)
        made.compile(optimizer=made.optimizer, loss=made.loss)  # TensorFlow's program had the rate
        fit(made)
    resumed = saved_and_loaded(broken, tmp_path)
    fit(unbroken), fit(resumed)
    assert_same_bits(state(resumed), state(unbroken))


@each_method
def test_a_diverged_model_saves_and_loads(method: Any, tmp_path: Path) -> None:
    made = model(method(0.25))
    fit(made)
    for i, variable in enumerate([*made.trainable_variables, *slots(made.optimizer)]):
        variable.assign(keras.ops.full(variable.shape, (np.nan, np.inf)[i % 2]))
    fit(saved_and_loaded(made, tmp_path))


def test_the_order_of_the_file_is_fixed() -> None:
    """It is a file format: files of earlier versions are read by it."""
    made = model(INDIAN(0.25, use_ema=True, gradient_accumulation_steps=2))
    fit(made)
    names = [v.name for v in made.optimizer.variables]
    theta = ["hidden_kernel", "hidden_bias", "logits_kernel", "logits_bias"]
    # Keras puts the model's name in front of some.
    assert [name.removeprefix("classifier_") for name in names] == [
        "iteration",
        "learning_rate",
        *(f"{t}_average" for t in theta),
        *(f"{t}_gradient_accumulator" for t in theta),
        *(f"{t}_momentum" for t in theta),
        "start",
    ]


def begun(optimizer: Any) -> Any:
    apply(optimizer, variables(), gradients(0))
    return optimizer


@pytest.mark.parametrize("other", [keras.optimizers.AdamW, keras.optimizers.SGD])
@each_method
def test_the_state_of_another_optimizer_is_refused(method: Any, other: Any) -> None:
    store: dict[str, np.ndarray] = {}
    begun(other(0.1)).save_own_variables(store)
    optimizer = begun(method(0.25))
    before = arrays(optimizer.variables)
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        optimizer.load_own_variables(store)
    assert_same_bits(optimizer.variables, before)


@pytest.mark.parametrize(
    ("entry", "value", "text"),
    [
        ("other", np.ones(()), "missing"),
        ("4", np.ones((1,)), "shape"),
        ("4", np.array("a"), "dtype"),
        ("4", np.array(1j), "complex"),
    ],
    ids=repr,
)
def test_a_state_that_cannot_be_is_refused_whole(entry: str, value: np.ndarray, text: str) -> None:
    optimizer, theirs = begun(INDIAN(0.25)), begun(INDIAN(0.5))
    store: dict[str, np.ndarray] = {}
    theirs.save_own_variables(store)
    del store["4"]
    store[entry] = value
    before = arrays(optimizer.variables)
    with pytest.raises(ValueError, match=rf"entry 4.*{text}"):
        optimizer.load_own_variables(store)
    assert_same_bits(optimizer.variables, before)


# Runs in files. What moves between frameworks is in tests/together.


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
    model.fit(
        np.linspace(-1, 1, 12).reshape(4, 3),
        np.ones((4, 2)),
        batch_size=4,
        epochs=steps,
        shuffle=False,
        verbose=0,
    )


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "bfloat16") for name in list(OPTIMIZERS)[:5]), ("INDIAN", "mixed_float16")],
)
def test_a_run_s_file_goes_on_bit_for_bit(tmp_path: Path, name: str, dtype: str) -> None:
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
