"""Devices for the distribution tests, float64 on request, and what Keras's backends warn of."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before JAX is imported: it reads the flag when it first looks for devices.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

BACKEND = keras.backend.backend()
# Else the first layer sets it for all, and to float64 if a test in float64 makes that layer.
keras.config.set_dtype_policy("float32")

if BACKEND == "tensorflow":
    import tensorflow as tf

    # Before TensorFlow makes its devices.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )

KERAS_TO_NUMPY = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "on_keras" in item.path.parts:
            # How Keras turns tensors into arrays under NumPy 2.
            item.add_marker(pytest.mark.filterwarnings(KERAS_TO_NUMPY))


@pytest.fixture
def float64() -> Iterator[None]:
    """Make Keras work in float64 throughout."""
    keras.config.set_floatx("float64")
    if BACKEND == "jax":
        from tests.x64 import enable_x64

        with enable_x64(True):
            yield
    else:
        yield
    keras.config.set_floatx("float32")


@pytest.fixture(autouse=True)
def _seed() -> None:
    keras.utils.set_random_seed(0)
