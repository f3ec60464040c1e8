"""The names of a tree's leaves, and the layers that they belong to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax

from indian_core.runs.layouts import ORDERS, Entry

# The kinds of Equinox's weights, by the classes of their layers.
_EQUINOX = {
    "Linear": "dense kernel",
    "Conv1d": "convolution 1d",
    "Conv2d": "convolution 2d",
    "Conv3d": "convolution 3d",
    "Embedding": "embedding",
    "LayerNorm": "scale",
    "GroupNorm": "scale",
    "RMSNorm": "scale",
    "BatchNorm": "scale",
}


def layout(params: Any, layers: Sequence[str] | None = None) -> list[Entry]:
    """Return the parameters in the layers' order, for `indian_core.runs.layouts.paired`.

    Args:
        params: A tree of Flax (NNX or Linen, whose leaves are called kernel, embedding, scale and
            bias) or an Equinox model, filtered or not.
        layers: The paths of the layers, in the model's order. If None, the order is an Equinox
            model's own, or that of the numbers in the names of Flax's layers, which may then not
            differ in anything else.

    Raises:
        ValueError: If a parameter belongs to no known layer, if the order of the layers is not
            known, or if ``layers`` are not the tree's layers.

    Examples:
        >>> import jax.numpy as jnp
        >>> from indian_optax import layout
        >>> params = {"Dense_0": {"kernel": jnp.ones((2, 1)), "bias": jnp.ones(1)}}
        >>> [entry.kind for entry in layout(params)]
        ['bias', 'dense kernel']
    """
    entries: list[Entry] = []
    nodes = jax.tree_util.tree_leaves_with_path(params, is_leaf=_is_equinox_layer)
    for path, node in nodes:
        if _is_equinox_layer(node):
            entries += _of_equinox(name_of(path), node)
        elif hasattr(node, "shape"):
            entries.append(_of_flax(name_of(path), node))
    names = list(dict.fromkeys(entry.layer for entry in entries))
    if layers is None:
        if not any(_is_equinox_layer(node) for _, node in nodes):
            names = _in_order(names)
    elif sorted(layers) != sorted(names):
        raise ValueError(f"Invalid layers: {list(layers)} (the tree has {names})")
    else:
        names = list(layers)
    return sorted(entries, key=lambda entry: names.index(entry.layer))


def _in_order(names: list[str]) -> list[str]:
    """Return layers in the order of their numbers, or raise if their names differ otherwise."""
    numbers = {name: [int(digits) for digits in re.findall(r"\d+", name)] for name in names}
    if len({re.sub(r"\d+", "", name) for name in names}) > 1:
        raise ValueError(
            "Invalid params: a tree of names does not keep the order of its layers: say it, "
            f"layers={names} or another order"
        )
    return sorted(names, key=numbers.__getitem__)


def _of_flax(name: str, leaf: Any) -> Entry:
    layer, _, last = name.rpartition("/")
    kind = last
    if last == "kernel":
        kind = "dense kernel" if leaf.ndim == 2 else f"convolution {leaf.ndim - 2}d"
    if kind not in ORDERS:
        raise ValueError(
            f"Invalid params: no layout is known of {name} (a table can be written by hand)"
        )
    return Entry(name, layer, kind)


def _of_equinox(layer: str, module: Any) -> list[Entry]:
    entries = []
    for name, kind in (("weight", _EQUINOX[type(module).__name__]), ("bias", "bias")):
        if getattr(module, name, None) is not None:
            entries.append(Entry(f"{layer}/{name}" if layer else name, layer, kind))
    return entries


def _is_equinox_layer(node: Any) -> bool:
    return type(node).__module__.startswith("equinox.nn") and type(node).__name__ in _EQUINOX


def name_of(path: Sequence[Any]) -> str:
    """Return the name of a leaf: the keys of its path, joined by "/"."""
    # Flax NNX wraps its arrays in boxes, which add a "value" to the path.
    if len(path) > 1 and getattr(path[-1], "name", None) == "value":
        path = path[:-1]
    return jax.tree_util.keystr(tuple(path), simple=True, separator="/") or "params"
