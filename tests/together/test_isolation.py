"""Where every framework is installed, importing one adapter loads no other one."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "optax"}
LOADS = {
    "indian_core": set(),
    "indian_torch": {"torch"},
    "indian_optax": {"jax", "optax"},
    # Keras loads its backend: here JAX.
    "indian_keras": {"keras", "jax"},
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {"KERAS_BACKEND": "jax", "PATH": "", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("package", sorted(LOADS))
def test_an_adapter_loads_its_own_framework_alone(package: str) -> None:
    code = f"import {package}, sys; print(*sorted(name for name in sys.modules if '.' not in name))"
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert FRAMEWORKS & set(result.stdout.split()) == LOADS[package]


@pytest.mark.parametrize(
    ("package", "framework"),
    [
        ("indian_torch", "torch"),
        ("indian_keras", "keras"),
        ("indian_optax", "optax"),
        ("indian_optax", "jax"),
    ],
)
def test_a_missing_framework_is_an_import_error_that_says_what_to_install(
    package: str, framework: str
) -> None:
    result = run(f"import sys; sys.modules['{framework}'] = None; import {package}")
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert "ImportError" in last
    assert "pip install" in last
    assert framework in last.partition("pip install")[2]
