"""The conversion of parameters from one framework's names and axes to another's.

A table specifies, for each parameter of the target, which parameter of the file it is and how its
axes are permuted. The caller may write the table, or `paired` makes it for two models that have the
same layers in the same order. Shapes alone are never used to match parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from indian_core.runs.file import Array, Parameter, Run

# i and o are a unit's inputs and outputs; d, h and w are an image's depth, height and width.
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
    """A parameter of a model: its name, its layer, and its kind, a key of `ORDERS`."""

    name: str
    layer: str
    kind: str


class Move(NamedTuple):
    """How a parameter of the file becomes a parameter of the target.

    The array is reshaped to `split`, its axes are put in the order `axes`, and it is reshaped to
    the target's shape. (A dense kernel after a flattened image is split into the image's axes.)

    Attributes:
        name: The parameter's name in the file.
        axes: The order of the axes, as in `numpy.transpose`. None means an unchanged order.
        split: The shape before the axes are reordered. None means the array's own shape.
    """

    name: str
    axes: tuple[int, ...] | None = None
    split: tuple[int, ...] | None = None


Table = Mapping[str, Move]


def axes(kind: str, source: str, target: str) -> tuple[int, ...] | None:
    """Return the order of the source's axes that gives the target's, or None if it is the same.

    Args:
        kind: A key of `ORDERS`.
        source: "keras", "flax", "torch" or "equinox".
        target: "keras", "flax", "torch" or "equinox".

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
    axes = tuple(ORDERS[kind][source].index(axis) for axis in ORDERS[kind][target])
    return None if axes == tuple(range(len(axes))) else axes


def paired(
    source: Sequence[Entry], target: Sequence[Entry], source_layout: str, target_layout: str
) -> dict[str, Move]:
    """Return the table for two models that have the same layers in the same order.

    Args:
        source: The parameters of the model whose run is in the file.
        target: The parameters of the model that resumes the run.
        source_layout: "keras", "flax", "torch" or "equinox".
        target_layout: "keras", "flax", "torch" or "equinox".

    Raises:
        ValueError: If the layers of the two models differ.

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


def moved(run: Run, table: Table | None, shapes: Mapping[str, tuple[int, ...]]) -> Run:
    """Return a run with the target's names and layouts.

    Args:
        run: The run that a file holds.
        table: The `Move` for each parameter of the target, by name. None means that the names are
            the same.
        shapes: The target's shapes, by name.

    Raises:
        ValueError: If a parameter is missing on either side, or the shapes do not match.
        TypeError: If an entry of the table is not a `Move`.
    """
    moves = {name: Move(name) for name in shapes} if table is None else table
    for name, move in moves.items():
        if not isinstance(move, Move):
            raise TypeError(f"Invalid table: {move!r} for {name} (it must be a Move)")
    used = {move.name for move in moves.values()}
    hint = "; a table says which is which" if table is None else ""
    for names, words in (
        (shapes.keys() - moves.keys(), "the table does not name"),
        (moves.keys() - shapes.keys(), "the model does not hold"),
        (used - run.parameters.keys(), "the file does not hold"),
        (run.parameters.keys() - used, "nothing here takes, of the file,"),
    ):
        if names:
            raise ValueError(f"Invalid table: {words} {', '.join(sorted(names))}{hint}")
    return run._replace(
        parameters={
            name: _moved(run.parameters[moves[name].name], moves[name], name, shape)
            for name, shape in shapes.items()
        }
    )


def _moved(parameter: Parameter, move: Move, name: str, shape: tuple[int, ...]) -> Parameter:
    def array(value: Array) -> Array:
        value = value if move.split is None else value.reshape(move.split)
        value = value if move.axes is None else np.transpose(value, move.axes)
        if move.split is None and _long(value.shape) != _long(shape):
            raise ValueError(f"shape {value.shape} for {tuple(shape)}")
        return value.reshape(shape)

    try:
        return parameter._replace(
            theta=array(parameter.theta),
            momentum=array(parameter.momentum),
            squares=None if parameter.squares is None else array(parameter.squares),
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"Invalid table: {move.name} is not {name} ({error})") from error


def _long(shape: Sequence[int]) -> list[int]:
    """Return a shape without its axes of length 1, which Equinox's convolution biases have."""
    return [length for length in shape if length != 1]


def _layers(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Return, for each layer, the names of its parameters by their kinds."""
    layers: dict[str, dict[str, str]] = {}
    for entry in entries:
        names = layers.setdefault(entry.layer, {})
        if entry.kind in names:
            raise ValueError(f"Invalid models: layer {entry.layer} has two of kind {entry.kind}")
        names[entry.kind] = entry.name
    return list(layers.values())
