"""The hyperparameters of every adapter are the core's table: names, order and defaults."""

from __future__ import annotations

import inspect

import pytest

from indian_core import INDIAN, OTHER_NAMES


def test_the_signature_is_the_table(driver: type) -> None:
    if driver.optimizer is None:
        pytest.skip("the core has no optimizer of its own")
    given = inspect.signature(driver.optimizer).parameters.values()
    found = {OTHER_NAMES.get(p.name, p.name): p.default for p in given}
    assert [name for name in found if name in INDIAN] == list(INDIAN)
    for name, hyperparameter in INDIAN.items():
        # (optax's learning rates have no default, and no weight decay may be None.)
        if found[name] is not inspect.Parameter.empty:
            assert (found[name] or None) == (hyperparameter.default or None), name
