"""The hyperparameters of every adapter are the core's table: names, order and defaults."""

from __future__ import annotations

import inspect

from indian_core import METHODS, OTHER_NAMES


def test_the_signature_is_the_table(driver: type, method: str) -> None:
    table = METHODS[method]
    given = inspect.signature(driver.methods[method]).parameters.values()
    found = {OTHER_NAMES.get(p.name, p.name): p.default for p in given}
    assert [name for name in found if name in table] == list(table)
    for name, hyperparameter in table.items():
        # (optax's learning rates have no default, and no weight decay may be None.)
        if found[name] is not inspect.Parameter.empty:
            assert (found[name] or None) == (hyperparameter.default or None), name
