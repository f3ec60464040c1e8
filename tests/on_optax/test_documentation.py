"""The examples in the docstrings."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import indian_optax

MODULES = [
    "indian_optax",
    *(f"indian_optax.{m.name}" for m in pkgutil.iter_modules(indian_optax.__path__)),
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_every_public_function_has_an_example() -> None:
    functions = [getattr(indian_optax, name) for name in indian_optax.__all__]
    missing = [f for f in functions if not isinstance(f, type) and ">>>" not in f.__doc__]
    assert missing == []
