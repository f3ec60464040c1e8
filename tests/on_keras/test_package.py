"""The package: what it imports, what it says without Keras, and that its examples run."""

from __future__ import annotations

import doctest
import subprocess
import sys

import pytest

import indian_keras.base
import indian_keras.schedules
from tests.on_keras.runs import BACKEND


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )


def test_it_loads_no_framework_but_keras_and_its_backend() -> None:
    """Keras itself may load others: what counts is what this package adds."""
    others = {"torch", "tensorflow", "jax", "optax"} - {BACKEND}
    code = (
        "import sys, keras; before = set(sys.modules); import indian_keras; "
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}; "
        f"print(sorted(new & {others | {'indian_torch', 'indian_optax'}}))"
    )
    assert run(code).stdout.strip() == "[]"


def test_without_keras_it_says_what_to_install() -> None:
    done = run("import sys; sys.modules['keras'] = None; import indian_keras")
    assert done.returncode == 1
    assert "ImportError: indian_keras needs Keras 3 and a backend" in done.stderr
    assert '"indian-optimizer[keras-tensorflow]" (or keras-jax, or keras-torch)' in done.stderr


@pytest.mark.parametrize("module", [indian_keras.base, indian_keras.schedules])
def test_the_examples_run(module: object) -> None:
    failures, tests = doctest.testmod(module)
    assert tests > 0
    assert failures == 0
