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
    fit,
    gradients,
    model,
    variables,
)

OPTIMIZERS = {
    "float": lambda: INDIAN(0.25),
    "schedule": lambda: INDIAN(PowerDecay(0.5)),
    "ema": lambda: INDIAN(0.25, use_ema=True, ema_overwrite_frequency=3, weight_decay=0.01),
    "accumulation": lambda: INDIAN(0.25, gradient_accumulation_steps=3),
    "INNAprop": lambda: INNAprop(PowerDecay(0.05), gradient_accumulation_steps=3),
    "DampedSGD": lambda: DampedSGD(PowerDecay(0.05), damping=PowerDecay(0.75, 0.125)),
    "DampedAdamW": lambda: DampedAdamW(0.05, gradient_accumulation_steps=3),
}


def state(made: keras.Model) -> list[np.ndarray]:
    return arrays([*made.trainable_variables, *made.optimizer.variables])


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("file", ["run.keras", "run.weights.h5"])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    kind: str, file: str, tmp_path: Path
) -> None:
    if BACKEND == "jax" and kind == "ema":
        pytest.skip("Keras 3.15 on JAX cannot fit twice with an average, with Adam neither")
    unbroken, broken = (model(OPTIMIZERS[kind]()) for _ in range(2))
    fit(unbroken), fit(broken)
    if file.endswith(".keras"):
        broken.save(tmp_path / file)
        resumed = keras.models.load_model(tmp_path / file)
        assert type(resumed.optimizer) is type(broken.optimizer)
    else:
        broken.save_weights(tmp_path / file)
        resumed = model(OPTIMIZERS[kind](), seed=7)
        resumed.optimizer.build(resumed.trainable_variables)
        resumed.load_weights(tmp_path / file)
    assert_same_bits(state(resumed), state(broken))
    # The same gradients from here on, since the losses' metrics and shuffles are Keras's own.
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
    broken.save(tmp_path / "run.keras")
    resumed = keras.models.load_model(tmp_path / "run.keras")
    assert resumed.optimizer.get_config() == broken.optimizer.get_config()
    assert_same_bits(state(resumed), state(broken))
    fit(unbroken), fit(resumed)
    assert_same_bits(state(resumed), state(unbroken))


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


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (INDIAN(0.25), keras.optimizers.SGD(0.1, momentum=0.9)),
        (DampedSGD(0.25), keras.optimizers.Adam(0.1)),
        (DampedAdamW(0.25), keras.optimizers.AdamW(0.1)),
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_the_state_of_another_optimizer_is_refused(ours: Any, other: Any) -> None:
    theirs = variables()
    apply(other, theirs, gradients(0))
    store: dict[str, np.ndarray] = {}
    other.save_own_variables(store)
    apply(ours, variables(), gradients(0))
    before = arrays(ours.variables)
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        ours.load_own_variables(store)
    assert_same_bits(ours.variables, before)


def test_the_state_of_another_model_is_refused() -> None:
    theta, other = variables(), list(reversed(variables()))
    optimizer, theirs = INDIAN(0.25), INDIAN(0.5)
    apply(optimizer, theta, gradients(0))
    apply(theirs, other, list(reversed(gradients(0))))
    store: dict[str, np.ndarray] = {}
    theirs.save_own_variables(store)
    before = arrays(optimizer.variables)
    with pytest.raises(
        ValueError, match=r"entry 2 of the file, for '.*theta_0_momentum', has the shape \(\)"
    ):
        optimizer.load_own_variables(store)
    assert_same_bits(optimizer.variables, before)


@pytest.mark.parametrize(
    ("entry", "value", "text"),
    [
        ("2", None, "is missing"),
        ("4", np.ones((1,)), r"has the shape \(1,\), not \(\)"),
        ("4", np.array("a"), "is of dtype <U1, not float32"),
        ("4", np.array(1j), "is of dtype complex128, not float32"),
        ("4", np.array(None), "is of dtype object, not float32"),
    ],
    ids=repr,
)
def test_a_state_that_cannot_be_is_refused_whole(
    entry: str, value: np.ndarray | None, text: str
) -> None:
    optimizer, theirs = INDIAN(0.25), INDIAN(0.5)
    for each in (optimizer, theirs):
        apply(each, variables(), gradients(0))
    store: dict[str, np.ndarray] = {}
    theirs.save_own_variables(store)
    store[entry if value is not None else "other"] = value
    if value is None:
        del store[entry]
    before = arrays(optimizer.variables)
    with pytest.raises(ValueError, match=text):
        optimizer.load_own_variables(store)
    assert_same_bits(optimizer.variables, before)


def test_backup_and_restore(tmp_path: Path) -> None:
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    unbroken, broken, resumed = (model(INDIAN(PowerDecay(0.5))) for _ in range(3))
    fit(unbroken, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fit(
            broken,
            epochs=4,
            callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup"), Interrupt()],
        )
    fit(resumed, epochs=4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    assert_same_bits(state(resumed), state(unbroken))
