from __future__ import annotations

import importlib
import warnings

import pytest


@pytest.fixture(scope="session")
def inductor() -> None:
    """Import Inductor, which runs into deprecation warnings of PyTorch's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._inductor.compile_fx")
