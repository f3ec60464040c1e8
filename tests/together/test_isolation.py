"""Where every framework is installed, importing one adapter loads no other one."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "optax"}
LOADS = {
    "indian_core": set(),
    "indian_numpy": set(),
    "indian_torch": {"torch"},
    "indian_optax": {"jax", "optax"},
}


def run(code: str, backend: str = "jax") -> subprocess.CompletedProcess[str]:
    environment = {"KERAS_BACKEND": backend, "PATH": "", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def loaded(package: str, backend: str = "jax") -> set[str]:
    """Return the frameworks that are loaded when a package has been imported."""
    result = run(f"import {package}, sys; print(*sys.modules)", backend)
    assert result.returncode == 0, result.stderr
    return FRAMEWORKS & set(result.stdout.split())


@pytest.mark.parametrize("package", LOADS)
def test_an_adapter_loads_its_own_framework_alone(package: str) -> None:
    assert loaded(package) == LOADS[package]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_keras_adapter_loads_what_keras_loads(backend: str) -> None:
    assert loaded("indian_keras", backend) == loaded("keras", backend)


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
