"""Every docstring example of the adapter runs, and every public function has one."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest


def package_of(driver: type) -> str:
    if "core" in driver.__module__:
        return "indian_core"
    return str(driver.methods["INDIAN"].__module__.partition(".")[0])


# Keras's own way of making arrays of torch's tensors.
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_docstring_examples(driver: type) -> None:
    package = import_module(package_of(driver))
    names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    failed = []
    for name in [package.__name__, *names]:
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            # Modules for another of Keras's backends; what is asked for is another matter.
            if error.name not in {"torch", "tensorflow", "jax"}:
                raise
            continue
        failed += [name] * doctest.testmod(module).failed
    assert failed == []


def test_every_public_name_has_an_example(driver: type) -> None:
    package = import_module(package_of(driver))
    public = {name: getattr(package, name) for name in package.__all__}
    missing = [name for name, thing in public.items() if ">>>" not in (thing.__doc__ or "")]
    # What a state holds is seen in the examples of what makes it.
    assert [n for n in missing if callable(public[n]) and not hasattr(public[n], "_fields")] == []
