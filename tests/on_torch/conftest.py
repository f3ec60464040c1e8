from __future__ import annotations

from typing import Any

import pytest

from tests.on_torch.runs import IMPLEMENTATIONS, METHODS


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Any:
    """Return each method in turn."""
    return request.param


@pytest.fixture(params=METHODS[:2])
def paper_method(request: pytest.FixtureRequest) -> Any:
    """Return each method of the paper's law in turn, which have ψ and an energy."""
    return request.param


@pytest.fixture(params=IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the options of each implementation in turn."""
    return dict(request.param)
