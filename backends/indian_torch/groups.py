r"""The fields of a parameter group, and their checks.

The errors for hyperparameters come from `indian_core.checked_hyperparameters`. The errors for
options are torch's own where torch has them.
"""

from __future__ import annotations

import math
import operator
from types import NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from indian_core import METHODS, checked_hyperparameters, momentum_units, refuse_arguments
from indian_core.hyperparameters import HINTS
from indian_torch.step.scalars import Step, is_unreadable, known

# The options that all methods have.
OPTIONS: dict[str, Any] = {
    "maximize": False,
    "foreach": None,
    "capturable": False,
    "differentiable": False,
    "fused": None,
    "momentum_dtype": None,
    "stochastic_rounding": False,
}
_IMMUTABLE = {float, int, NoneType}
# What may be a tensor. A captured or compiled graph uses the values that are put into it later.
TENSORS = ("lr", "alpha", "beta", "weight_decay")

Group = dict[str, Any]


class Fields:
    """The fields of a method's parameter groups.

    Args:
        method: The method, a key of `indian_core.METHODS`.
        **options: The method's own options, with their defaults.
    """

    def __init__(self, method: str, **options: Any) -> None:
        self.method = method
        self.hyperparameters = tuple(METHODS[method].numbers)
        self.options = OPTIONS | options
        self.names = (*self.hyperparameters, *self.options)
        # What a group of an older version, or of a subclass, may lack.
        self.later = {"reference_lr": None} | self.options

    def checked(self, group: Group) -> Group:
        """Return a group with its hyperparameters as floats, or raise if the group is invalid.

        Tensors stay the user's tensors. ``initial_speed=None`` stays None, because it means the β
        that the group has at a parameter's first step.

        Args:
            group: The parameter group, with the defaults filled in.

        Raises:
            TypeError: If a hyperparameter is not a number, or ``momentum_dtype`` is not a real
                dtype.
            ValueError: If a hyperparameter is missing, is out of its range, or is a tensor that
                does not have one element.
            RuntimeError: If two options exclude each other.
        """
        self._check_options(group)
        given = {name: group[name] for name in TENSORS if isinstance(group.get(name), Tensor)}
        return group | self.values(group) | given

    def refuse_others(self, group: Group) -> None:
        """Raise TypeError if a group has an argument of another optimizer, which has no effect."""
        refuse_arguments(self.method, [n for n in HINTS if n in group and n not in self.names])

    def values(self, group: Group, read: bool = True) -> dict[str, Any]:
        """Return the hyperparameters of a group as floats, or raise.

        Args:
            group: The parameter group.
            read: Whether to read tensors on any device. Reading one that is not on the CPU waits
                for the device, as in torch's SGD. Tensors that cannot or must not be read are not
                in the result.

        The errors are those of `checked`.
        """
        missing = [name for name in self.hyperparameters if name not in group]
        if missing:
            raise ValueError(
                f"parameter group has no {missing[0]}: it is not one of {self.method}'s"
            )
        values = {name: group[name] for name in self.hyperparameters}
        for name in TENSORS:
            value = values[name]
            if not isinstance(value, Tensor):
                continue
            if value.numel() != 1:
                raise ValueError(f"Tensor {name} must be 1-element")
            values[name] = known(value) if is_unreadable(value) or not read else value.item()
            if values[name] is None:
                del values[name]
        # (None stays None instead of becoming β, because the group's β may change later.)
        given = {name: value for name, value in values.items() if self._is_given(name, value)}
        return values | checked_hyperparameters(**given)

    def _is_given(self, name: str, value: Any) -> bool:
        return value is not None or METHODS[self.method].numbers[name].default is not None

    def step(self, group: Group) -> Step:
        """Return the hyperparameters of a group's next step. The user may have changed the group.

        Tensors become numbers, unless the host must not read them (``capturable``,
        ``differentiable``, torch.compile) or cannot (meta and fake tensors). The errors are those
        of `checked`.
        """
        self._check_options(group)
        tensors = {name: group[name] for name in TENSORS if isinstance(group.get(name), Tensor)}
        stay = bool(tensors) and bool(
            torch.compiler.is_compiling()
            or group["capturable"]
            or group["differentiable"]
            or any(map(is_unreadable, tensors.values()))
        )
        values = self.values(group, read=not stay)
        if stay:
            values |= {name: tensor.reshape(()) for name, tensor in tensors.items()}
        options = {name: group[name] for name in self.options if name in Step._fields}
        return Step(**values, **options, sign=-1.0 if group["maximize"] else 1.0)

    def _check_options(self, group: Group) -> None:
        dtype = group["momentum_dtype"]
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"Invalid momentum_dtype: {dtype!r} (it must be a real torch.dtype)")
        for name, default in self.options.items():
            if name != "momentum_dtype" and not isinstance(
                group[name], (bool, int, np.bool_, type(default))
            ):
                raise TypeError(f"Invalid {name}: {group[name]!r} (it must be a bool)")
        if group["fused"] and group["foreach"]:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        for option in ("fused", "foreach"):
            if group[option] and group["differentiable"]:
                raise RuntimeError(f"`{option}` does not support `differentiable`")


def units_of(group: Group) -> Any:
    """Return the `momentum_units` of w at a group's present lr."""
    return momentum_units(scalar_of(group, "lr"), group["reference_lr"])


def scalar_of(group: Group, name: str) -> Any:
    """Return a hyperparameter of a group as a number, or as a 0-dim tensor."""
    value = group[name]
    return value.detach().reshape(()) if isinstance(value, Tensor) else value


class StepReader:
    """`Fields.step`, without a second check of values that are the objects of the last step."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._all_but_lr = operator.itemgetter(*fields.names[1:])
        self._seen: tuple[Any, ...] = ()
        self._rest: tuple[Any, ...]

    def __call__(self, group: Group) -> Step:
        """Return the same as `Fields.step`."""
        lr, seen = group["lr"], self._all_but_lr(group)
        is_float = type(lr) is float and 0 <= lr < math.inf
        if is_float and self._seen and all(map(operator.is_, seen, self._seen)):
            return Step(lr, *self._rest)
        step = self._fields.step(group)
        numbers = seen[: len(self._fields.hyperparameters) - 1]
        stays = is_float and _IMMUTABLE.issuperset(map(type, numbers))
        self._seen, self._rest = (seen, step[1:]) if stays else ((), ())
        return step
