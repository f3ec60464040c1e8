"""The adapter under test: `pytest tests/conformance --adapter torch`."""

from __future__ import annotations

from importlib import import_module

import pytest

# The driver of each adapter. One that was asked for and will not import fails the run.
DRIVERS = {
    "core": "tests.conformance.core_driver:CoreDriver",
    "mlx": "tests.conformance.mlx_driver:MlxDriver",
    "numpy": "tests.conformance.numpy_driver:NumpyDriver",
    "torch": "tests.conformance.torch_driver:TorchDriver",
    "keras": "tests.conformance.keras_driver:KerasDriver",
    "optax": "tests.conformance.optax_driver:OptaxDriver",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--adapter",
        choices=sorted(DRIVERS),
        default="core",
        help="the adapter that the conformance suite runs (Keras's backend: KERAS_BACKEND)",
    )


def load_driver(config: pytest.Config) -> type:
    module, name = DRIVERS[config.getoption("--adapter")].split(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]
