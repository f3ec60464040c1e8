"""The package itself: what importing it loads, and its documentation's examples."""

from __future__ import annotations

import doctest
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import indian_torch

MODULES = [
    "indian_torch",
    *(f"indian_torch.{module.name}" for module in pkgutil.iter_modules(indian_torch.__path__)),
]


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_every_public_name_is_documented_with_an_example() -> None:
    for name in ("INDIAN", "PowerDecayLR", "load_authors_state_dict"):
        assert ">>>" in getattr(indian_torch, name).__doc__
    for name in indian_torch.__all__:
        assert getattr(indian_torch, name).__doc__


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
    assert 'ImportError: indian_torch needs PyTorch: pip install "indian-optimizer[torch]"' in (
        result.stderr
    )
