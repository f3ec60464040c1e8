from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the trainers out unless they are asked for by name: they are heavy to install.

    Asked for (`pytest tests/on_torch/trainers`), one that is not installed fails.
    """
    return None if any("trainers" in argument for argument in config.args) else True
