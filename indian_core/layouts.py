"""Whose axes are where: from one framework's names and layouts to another's.

A table says, for each parameter of the target, which one of the file it is, and how its axes go.
The caller may write it; `paired` makes it for two models that have the same layers in the same
order. Shapes alone never decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from indian_core.run_file import Array, Run

# Inputs and outputs of a unit, depth, height and width of an image.
ORDERS = {
    "dense kernel": {"keras": "io", "flax": "io", "torch": "oi", "equinox": "oi"},
    "convolution 1d": {"keras": "wio", "flax": "wio", "torch": "oiw", "equinox": "oiw"},
    "convolution 2d": {"keras": "hwio", "flax": "hwio", "torch": "oihw", "equinox": "oihw"},
    "convolution 3d": {"keras": "dhwio", "flax": "dhwio", "torch": "oidhw", "equinox": "oidhw"},
    "embedding": dict.fromkeys(("keras", "flax", "torch", "equinox"), "ne"),
    "scale": dict.fromkeys(("keras", "flax", "torch", "equinox"), "n"),
    "bias": dict.fromkeys(("keras", "flax", "torch", "equinox"), "n"),
}
"""The axes of each kind of parameter in each framework."""


class Entry(NamedTuple):
    """A parameter of a model: its name, its layer, and its kind, one of `ORDERS`."""

    name: str
    layer: str
    kind: str


class Move(NamedTuple):
    """How a parameter of the file becomes one of the target.

    The array is given the shape `split`, its axes are put in the order `axes`, and it gets the
    target's shape. (A dense kernel behind a flattened image is split into the image's axes.)

    Attributes:
        name: Its name in the file.
        axes: The order of the axes, as in `numpy.transpose`. None: as they are.
        split: The shape before that. None: its own.
    """

    name: str
    axes: tuple[int, ...] | None = None
    split: tuple[int, ...] | None = None


Table = Mapping[str, Move]


def axes(kind: str, source: str, target: str) -> tuple[int, ...] | None:
    """Return the order in which the source's axes are the target's, or None if it is the same.

    Args:
        kind: One of `ORDERS`.
        source: "keras", "flax", "torch" or "equinox".
        target: Likewise.

    Raises:
        ValueError: If there is no such kind or framework.

    Examples:
        >>> axes("convolution 2d", "keras", "torch")
        (3, 2, 0, 1)
    """
    if kind not in ORDERS:
        raise ValueError(f"Invalid kind: {kind!r} (it must be one of {list(ORDERS)})")
    for name in (source, target):
        if name not in ORDERS[kind]:
            raise ValueError(
                f"Invalid framework: {name!r} (it must be one of {list(ORDERS[kind])})"
            )
    found = tuple(ORDERS[kind][source].index(axis) for axis in ORDERS[kind][target])
    return None if found == tuple(range(len(found))) else found


def paired(
    source: Sequence[Entry], target: Sequence[Entry], source_layout: str, target_layout: str
) -> dict[str, Move]:
    """Return the table for two models of the same layers in the same order.

    Args:
        source: The parameters of the model that the file is of.
        target: Those of the model that is to go on.
        source_layout: "keras", "flax", "torch" or "equinox".
        target_layout: Likewise.

    Raises:
        ValueError: If the layers are not the same ones.

    Examples:
        >>> keras = [Entry("dense/kernel", "dense", "dense kernel")]
        >>> torch = [Entry("0.weight", "0", "dense kernel")]
        >>> paired(keras, torch, "keras", "torch")
        {'0.weight': Move(name='dense/kernel', axes=(1, 0), split=None)}
    """
    ours, theirs = _layers(target), _layers(source)
    if len(ours) != len(theirs):
        raise ValueError(f"Invalid models: one has {len(theirs)} layers, the other {len(ours)}")
    table = {}
    for there, here in zip(theirs, ours, strict=True):
        if there.keys() != here.keys():
            raise ValueError(
                f"Invalid models: a layer with {sorted(there)} ({', '.join(there.values())}) "
                f"faces one with {sorted(here)} ({', '.join(here.values())})"
            )
        for kind, name in here.items():
            table[name] = Move(there[kind], axes(kind, source_layout, target_layout))
    return table


def moved(run: Run, table: Table, shapes: Mapping[str, tuple[int, ...]]) -> Run:
    """Return a run under the target's names and in its layouts.

    Args:
        run: The run that a file holds.
        table: For each parameter of the target, where it is.
        shapes: The target's shapes, by name.

    Raises:
        ValueError: If a parameter is missing on either side, or the shapes do not go together.
    """
    missing = sorted(set(shapes) - set(table))
    unknown = sorted({move.name for move in table.values()} - set(run.parameters))
    left = sorted(set(run.parameters) - {move.name for move in table.values()})
    for names, words in (
        (missing, "the table does not name"),
        (unknown, "the file does not hold"),
        (left, "the table leaves out, of the file,"),
    ):
        if names:
            raise ValueError(f"Invalid table: {words} {', '.join(names)}")

    def array(value: Array, move: Move, name: str) -> Array:
        try:
            value = value if move.split is None else value.reshape(move.split)
            value = value if move.axes is None else np.transpose(value, move.axes)
            if move.split is None and value.shape != tuple(shapes[name]):
                raise ValueError(f"shape {value.shape} for {tuple(shapes[name])}")
            return value.reshape(shapes[name])
        except ValueError as error:
            raise ValueError(f"Invalid table: {move.name} is not {name} ({error})") from error

    parameters: dict[str, Any] = {}
    for name in shapes:
        move = table[name]
        found = run.parameters[move.name]
        parameters[name] = found._replace(
            theta=array(found.theta, move, name),
            momentum=array(found.momentum, move, name),
            squares=None if found.squares is None else array(found.squares, move, name),
        )
    return run._replace(parameters=parameters)


def _layers(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Return the names of each layer's parameters by their kinds, layer by layer."""
    layers: dict[str, dict[str, str]] = {}
    for entry in entries:
        names = layers.setdefault(entry.layer, {})
        if entry.kind in names:
            raise ValueError(f"Invalid models: layer {entry.layer} has two of kind {entry.kind}")
        names[entry.kind] = entry.name
    return list(layers.values())
