"""The package itself: what importing it loads."""

from __future__ import annotations

import subprocess
import sys


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def test_importing_it_loads_no_other_framework() -> None:
    program = (
        "import sys, indian_torch; "
        "print([m for m in ('jax', 'optax', 'keras', 'tensorflow', "
        "'indian_keras', 'indian_optax') if m in sys.modules])"
    )
    result = run(program)
    assert result.stdout.strip() == "[]", result.stderr


def test_without_torch_it_names_the_extra_to_install() -> None:
    result = run("import sys; sys.modules['torch'] = None; import indian_torch")
    assert result.returncode != 0
    assert "ImportError: indian_torch needs PyTorch: pip install torch" in result.stderr
