from __future__ import annotations

import importlib
import shutil
import warnings

import pytest

from indian_torch import INDIAN, INNAprop


@pytest.fixture(params=[INDIAN, INNAprop])
def method(request: pytest.FixtureRequest) -> type[INDIAN] | type[INNAprop]:
    """Return each method in turn."""
    return request.param  # type: ignore[no-any-return]


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
