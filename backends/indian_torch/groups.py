r"""What a parameter group holds, and the checks of it.

The errors of the hyperparameters are `indian_core.checked_hyperparameters`'s, and those of the
options torch's own where it has them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from indian_core import checked_hyperparameters

HYPERPARAMETERS = ("lr", "alpha", "beta", "initial_speed", "weight_decay")

# Options that a state of an older version, or of a subclass, may lack.
OPTIONS: dict[str, Any] = {
    "decoupled_weight_decay": True,
    "maximize": False,
    "foreach": None,
    "capturable": False,
    "differentiable": False,
    "fused": None,
    "momentum_dtype": None,
    "stochastic_rounding": False,
}


def check_lr_and_others(group: dict[str, Any]) -> None:
    """Raise if a hyperparameter of a parameter group cannot be used.

    Raises:
        TypeError: If one is not a number.
        ValueError: If one is missing or out of its range, or a Tensor lr has not one element.
    """
    missing = [name for name in HYPERPARAMETERS if name not in group]
    if missing:
        raise ValueError(f"parameter group has no {missing[0]}: it is not one of INDIAN's")
    values = {name: group[name] for name in HYPERPARAMETERS}
    if isinstance(values["lr"], Tensor):
        if values["lr"].numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        values["lr"] = values["lr"].item()
    checked_hyperparameters(**values)


def check_group(group: dict[str, Any]) -> None:
    """Raise if anything in a parameter group, the defaults filled in, cannot be used.

    Raises:
        TypeError: If a hyperparameter is not a number, or ``momentum_dtype`` not a real dtype.
        ValueError: If a hyperparameter is out of its range.
        RuntimeError: If two options exclude each other.
    """
    check_lr_and_others(group)
    dtype = group["momentum_dtype"]
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"Invalid momentum_dtype: {dtype!r} (it must be a real torch.dtype)")
    if group["fused"] and group["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    for option in ("fused", "foreach"):
        if group[option] and group["differentiable"]:
            raise RuntimeError(f"`{option}` does not support `differentiable`")
