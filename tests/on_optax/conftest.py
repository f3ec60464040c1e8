"""Eight CPU devices for the sharding tests, and float64 on request."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before JAX is imported: it reads the flag when it first looks for devices.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)

import pytest

from tests.x64 import enable_x64


@pytest.fixture
def x64() -> Iterator[None]:
    with enable_x64(True):
        yield
