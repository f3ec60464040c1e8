"""Saved and loaded in mid-training: the run goes on as if nothing had happened, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from indian_keras import INDIAN, DampedAdamW, DampedSGD, INNAprop, PowerDecay
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
    "INDIAN": lambda: INDIAN(0.25),
    "ema": lambda: INDIAN(PowerDecay(0.5), use_ema=True, ema_overwrite_frequency=3),
    "INNAprop": lambda: INNAprop(PowerDecay(0.05), gradient_accumulation_steps=3),
    "DampedSGD": lambda: DampedSGD(PowerDecay(0.05), damping=PowerDecay(0.75, 0.125)),
    "DampedAdamW": lambda: DampedAdamW(0.05, gradient_accumulation_steps=3),
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
        ("4", np.array(1j), "dtype"),
        ("4", np.array(None), "dtype"),
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


def test_backup_and_restore(tmp_path: Path) -> None:
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    unbroken, broken, resumed = (model(INDIAN(PowerDecay(0.5))) for _ in range(3))
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    fit(unbroken, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, epochs=4, callbacks=[backup, Interrupt()])
    fit(resumed, epochs=4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    assert_same_bits(state(resumed), state(unbroken))
