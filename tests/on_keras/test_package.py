"""The package: what it imports, what it says without Keras."""

from __future__ import annotations

import subprocess
import sys

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
    assert "pip install keras tensorflow (or jax, or torch)" in done.stderr
