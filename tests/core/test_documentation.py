"""The examples in the core's docstrings, wherever the package is installed."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import indian_core

MODULES = [
    "indian_core",
    *(m.name for m in pkgutil.walk_packages(indian_core.__path__, "indian_core.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    module = import_module(name)
    assert doctest.testmod(module).failed == 0


def test_every_public_function_has_an_example() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    missing = [
        f"{module}.{test.name}"
        for module in MODULES
        for test in finder.find(import_module(module), module)
        if "Returns:" in (test.docstring or "") and not test.examples
    ]
    assert missing == []
