r"""What a parameter group holds, and the checks of it.

The errors of the hyperparameters are `indian_core.checked_hyperparameters`'s, and those of the
options torch's own where it has them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from indian_core import checked_hyperparameters
from indian_torch.scalars import Step, is_unreadable, known

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
_SWITCHES = [(name, default) for name, default in OPTIONS.items() if name != "momentum_dtype"]


def checked_group(group: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter group with its hyperparameters as floats, or raise if it cannot be used.

    A Tensor lr stays the user's tensor.

    Args:
        group: The parameter group, the defaults filled in.

    Raises:
        TypeError: If a hyperparameter is not a number, or ``momentum_dtype`` not a real dtype.
        ValueError: If one is missing or out of its range, or a Tensor lr has not one element.
        RuntimeError: If two options exclude each other.
    """
    dtype = group["momentum_dtype"]
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"Invalid momentum_dtype: {dtype!r} (it must be a real torch.dtype)")
    values = checked_values(group)
    _check_options(group)
    return group | values


def checked_values(group: dict[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of a group, as floats but for a Tensor lr, or raise.

    Raises:
        TypeError: If one is not a number.
        ValueError: If one is missing or out of its range, or a Tensor lr has not one element.
    """
    missing = [name for name in HYPERPARAMETERS if name not in group]
    if missing:
        raise ValueError(f"parameter group has no {missing[0]}: it is not one of INDIAN's")
    values = {name: group[name] for name in HYPERPARAMETERS}
    lr = values["lr"]
    if not isinstance(lr, Tensor):
        return checked_hyperparameters(**values)
    if lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    number = 0.0 if is_unreadable(lr) else lr.item()
    return checked_hyperparameters(**values | {"lr": number}) | {"lr": lr}


def checked_step(group: dict[str, Any]) -> Step:
    """Return the hyperparameters of a group's next step, whatever has been put into the group.

    A Tensor lr becomes a number (off the CPU this waits for the device, as torch's SGD does),
    unless the host is not to know it (``capturable``, ``differentiable``, torch.compile) or cannot
    (meta and fake tensors).

    Raises:
        TypeError: As `checked_group`.
        ValueError: Likewise.
        RuntimeError: Likewise.
    """
    _check_options(group)
    lr = group["lr"]
    values = {name: group[name] for name in HYPERPARAMETERS}
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        stays = (
            group["capturable"]
            or group["differentiable"]
            or torch.compiler.is_compiling()
            or is_unreadable(lr)
        )
        number = known(lr) if stays else lr.item()
        values["lr"] = 0.0 if number is None else number
    if not _are_good_floats(values):
        values = checked_hyperparameters(**values)
    if isinstance(lr, Tensor) and stays:
        values["lr"] = lr.reshape(())
    return Step(
        **values,
        decoupled_weight_decay=group["decoupled_weight_decay"],
        sign=-1.0 if group["maximize"] else 1.0,
    )


def _are_good_floats(values: dict[str, Any]) -> bool:
    """Return whether there is nothing to convert or to refuse: at almost every step."""
    in_range = all(type(value) is float and 0 <= value < math.inf for value in values.values())
    return in_range and values["beta"] > 0


def _check_options(group: dict[str, Any]) -> None:
    for name, default in _SWITCHES:
        if not isinstance(group[name], (bool, int, np.bool_, type(default))):
            raise TypeError(f"Invalid {name}: {group[name]!r} (it must be a bool)")
    if group["fused"] and group["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    for option in ("fused", "foreach"):
        if group[option] and group["differentiable"]:
            raise RuntimeError(f"`{option}` does not support `differentiable`")
