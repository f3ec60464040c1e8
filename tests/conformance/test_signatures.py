"""The hyperparameters of every adapter are the core's table: names and defaults."""

from __future__ import annotations

import inspect

from indian_core import METHODS, OTHER_NAMES


def test_the_signature_is_the_table(driver: type, method: str) -> None:
    table = METHODS[method].numbers
    given = inspect.signature(driver.methods[method]).parameters.values()
    found = {OTHER_NAMES.get(p.name, p.name): p.default for p in given}
    if "betas" in found:
        found["beta_1"], found["beta_2"] = found.pop("betas")
    # optax's SGD has no weight decay.
    missing = set(table) - set(found)
    assert missing <= ({"weight_decay"} if method == "DampedSGD" else set())
    if METHODS[method].law == "paper":
        assert [name for name in found if name in table] == list(table)
    for name, hyperparameter in table.items():
        # optax's learning rates have no default, and no weight decay may be None.
        if found.get(name, inspect.Parameter.empty) is inspect.Parameter.empty:
            continue
        if METHODS[method].law == "paper" or hyperparameter.default is not None:
            assert (found[name] or None) == (hyperparameter.default or None), name
