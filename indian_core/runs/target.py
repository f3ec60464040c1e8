"""Whether a model and its optimizer can go on with a run: the checks, for all backends.

A backend describes by a `Place` for each parameter what its target holds. Everything is checked
here before the backend changes anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from indian_core.runs.file import Array, Run
from indian_core.runs.layouts import Table, moved

# The tolerance for hyperparameters, which may have been stored in float32.
TOLERANCE = 1e-6
_BFLOAT16 = (2 - 2.0**-7) * 2.0**127  # the largest number
# The kind of weight decay, which does not matter if there is no weight decay.
_KINDS_OF_DECAY = ("decoupled_weight_decay", "authors_weight_decay")
# What an optimizer without groups may still have for each parameter, by a mask.
_OF_EACH = ("weight_decay", *_KINDS_OF_DECAY)


class Place(NamedTuple):
    """What a target holds for a parameter.

    Attributes:
        shape: The parameter's shape.
        dtype: The name of θ's dtype.
        group: The parameter's hyperparameters, by their names in PyTorch, as far as they are known.
            (``lr`` is up to the caller and is not compared.)
    """

    shape: tuple[int, ...]
    dtype: str
    group: Mapping[str, Any]


class Shared(NamedTuple):
    """What all parameters of a run share: the group, whether it has begun, and V's count."""

    group: Mapping[str, Any]
    begun: bool
    steps: int


def received(
    run: Run,
    method: str,
    places: Mapping[str, Place],
    table: Table | None = None,
) -> Run:
    """Return a run with the target's names and layouts, or raise if the target cannot resume it.

    Args:
        run: The run.
        method: The target's method.
        places: The `Place` of each parameter of the target, by name.
        table: The `Move` for each parameter of the target, by name. None, the default, means that
            the names are the same.

    Raises:
        ValueError: If the methods differ, the table does not fit, a hyperparameter differs, a
            parameter of the target is complex, or a number of θ would become infinite.
        TypeError: If an entry of the table is not a `Move`.
    """
    if run.method != method:
        raise ValueError(f"Invalid run: it is one of {run.method}, not of {method}")
    run = moved(run, table, {name: place.shape for name, place in places.items()})
    for name, place in places.items():
        parameter = run.parameters[name]
        _check_same(name, run.groups[parameter.group], place.group)
        _check_numbers(name, parameter.theta, place.dtype)
    return run


def shared(run: Run) -> Shared:
    """Return what all parameters share, for an optimizer that stores it only once.

    Args:
        run: The run that `received` returned.

    Raises:
        ValueError: If the parameters differ in something that such an optimizer stores only once.
    """
    parameters = list(run.parameters.items())
    name, first = parameters[0]
    group = run.groups[first.group]
    for other_name, other in parameters:
        for key, value in group.items():
            others = run.groups[other.group].get(key)
            if key not in _OF_EACH and others != value:
                raise ValueError(
                    f"Invalid run: {key} is {value} for {name} and {others} for {other_name}, "
                    "and this optimizer has one for all"
                )
        if other.steps != first.steps:
            raise ValueError(
                f"Invalid run: V holds {first.steps} gradients of {name} and {other.steps} of "
                f"{other_name}, and this optimizer has one count for all"
            )
    begun = {p.begun for _, p in parameters}
    # From rest, a parameter that has not begun is the same as one whose w is 0.
    if len(begun) > 1 and group.get("initial_speed") not in (None, group.get("beta")):
        late = next(n for n, p in parameters if not p.begun)
        raise ValueError(
            f"Invalid run: {late} has not begun, and others have, and this optimizer would not "
            "give it its initial speed"
        )
    return Shared(group, any(begun), first.steps)


def _check_numbers(name: str, theta: Array, dtype: str) -> None:
    """Raise unless a dtype can hold θ, rounded."""
    if dtype.startswith("complex"):
        raise ValueError(f"Invalid run: {name} is {dtype} here, and a file holds real numbers")
    # NumPy does not know bfloat16.
    largest = _BFLOAT16 if dtype == "bfloat16" else float(np.finfo(dtype).max)
    if np.any(np.isfinite(theta) & (abs(theta) > largest)):
        raise ValueError(f"Invalid run: {name} has numbers beyond {dtype}, its dtype here")


def _check_same(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise if a hyperparameter that both sides have differs."""
    decays = [group["weight_decay"] for group in (there, here) if "weight_decay" in group]
    for key in there.keys() & here.keys():
        if key == "lr" or (key in _KINDS_OF_DECAY and not any(decays)):
            continue
        theirs, ours = there[key], here[key]
        if key == "initial_speed":
            theirs = there.get("beta") if theirs is None else theirs
            ours = here.get("beta") if ours is None else ours
        if not _alike(theirs, ours):
            raise ValueError(
                f"Invalid optimizer: {key} of {name} is {ours}, and {theirs} in the run "
                "(load it first and change it then, if that is meant)"
            )


def _alike(x: Any, y: Any) -> bool:
    if x is None or y is None:
        return x is y
    return math.isclose(x, y, rel_tol=TOLERANCE)
