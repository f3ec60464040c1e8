"""Several devices: each run equals the one on a single device."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest

from indian_keras import INDIAN, DampedAdamW, DampedSGD, INNAprop, PowerDecay
from tests.on_keras.runs import arrays, assert_close, fit, model, only_on

METHODS = {
    "INDIAN": lambda: INDIAN(PowerDecay(0.5), initial_speed=1.0, weight_decay=0.01),
    "INNAprop": lambda: INNAprop(PowerDecay(0.02), weight_decay=0.1, authors_weight_decay=True),
    "DampedSGD": lambda: DampedSGD(PowerDecay(0.1), damping=0.3, weight_decay=0.1),
    "DampedAdamW": lambda: DampedAdamW(PowerDecay(0.02), weight_decay=0.1),
}


@pytest.fixture(params=METHODS)
def optimizer(request: pytest.FixtureRequest) -> Callable[[], keras.optimizers.Optimizer]:
    return METHODS[request.param]


@pytest.fixture
def alone(optimizer: Callable) -> list:
    made = model(optimizer())
    fit(made, epochs=2)
    return arrays([*made.trainable_variables, *made.optimizer.variables])


@only_on("tensorflow")
@pytest.mark.parametrize("options", [{}, {"jit_compile": False}], ids=str)
def test_mirrored_strategy(optimizer: Callable, alone: list, options: dict) -> None:
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        made = model(optimizer(), **options)
    fit(made, epochs=2)
    assert_close([*made.trainable_variables, *made.optimizer.variables], alone, 1e-5)


@pytest.fixture
def undistributed() -> object:
    yield
    keras.distribution.set_distribution(None)


@only_on("jax")
@pytest.mark.usefixtures("undistributed")
@pytest.mark.parametrize("kind", ["data", "model"])
def test_keras_own_distribution(optimizer: Callable, alone: list, kind: str) -> None:
    devices = keras.distribution.list_devices()
    assert len(devices) == 8
    if kind == "data":
        distribution = keras.distribution.DataParallel(devices=devices)
    else:
        layout = keras.distribution.LayoutMap(
            keras.distribution.DeviceMesh((4, 2), ["batch", "model"], devices)
        )
        layout["classifier/hidden/kernel"] = (None, "model")
        layout["classifier/logits/kernel"] = ("model", None)
        distribution = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    keras.distribution.set_distribution(distribution)
    made = model(optimizer())
    fit(made, epochs=2)
    assert_close([*made.trainable_variables, *made.optimizer.variables], alone, 1e-5)
    for variable, w in zip(made.trainable_variables, made.optimizer.momentums, strict=True):
        assert w.value.sharding.is_equivalent_to(variable.value.sharding, w.value.ndim)
    assert made.optimizer.momentums[0].value.sharding.is_fully_replicated == (kind == "data")
