from __future__ import annotations

import importlib
import shutil
import warnings
from typing import Any

import pytest

from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop


@pytest.fixture(params=[INDIAN, INNAprop, DampedSGD, DampedAdamW])
def method(request: pytest.FixtureRequest) -> Any:
    """Return each method in turn."""
    return request.param


@pytest.fixture(params=[INDIAN, INNAprop])
def paper_method(request: pytest.FixtureRequest) -> Any:
    """Return each method of the paper's law in turn, which have ψ and an energy."""
    return request.param


@pytest.fixture(scope="session")
def inductor() -> str:
    """Return the backend to compile with: Inductor, if there is a C++ compiler for its code."""
    if not any(map(shutil.which, ("g++", "clang++", "cl"))):
        return "aot_eager"
    # Its first import runs into deprecation warnings of PyTorch's own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._inductor.compile_fx")
    return "inductor"
