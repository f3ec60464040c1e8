"""Networks as data: a list of words per network, shapes, and the initial weights.

A network is a list such as ``["conv 16 3", "relu", "max-pool 2", "dense classes"]``:

* ``conv FILTERS SIZE``: SIZE × SIZE convolution, SIZE odd, padded to keep the image's size;
* ``valid-conv FILTERS SIZE``: the same without padding;
* ``max-pool SIZE``: the largest of SIZE × SIZE windows; pixels that do not fill one are left out;
* ``mean-pool SIZE``: the same windows, averaged;
* ``relu`` and ``tanh``;
* ``dense UNITS``: flattens images first; ``classes`` stands for the number of classes.

The weights are drawn here, once, so that every framework starts from the same point. The layouts
are NumPy's: images (height, width, channels), kernels (height, width, in, out), dense matrices
(in, out). Images are flattened in that order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Weights = list[tuple[np.ndarray, np.ndarray]]

# How many numbers follow each word.
_ARGUMENTS = {
    **dict.fromkeys(("conv", "valid-conv"), 2),
    **dict.fromkeys(("max-pool", "mean-pool", "dense"), 1),
    **dict.fromkeys(("relu", "tanh"), 0),
}


class Layer(NamedTuple):
    """A layer: its kind, the numbers in its words, and its input and output shapes."""

    kind: str
    numbers: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


def layers(network: Sequence[str], input_shape: tuple[int, ...], classes: int) -> list[Layer]:
    """Return the network's layers with their shapes.

    Args:
        network: The network's words, as above.
        input_shape: (height, width, channels) of the images.
        classes: The number of classes, which the output must have.

    Raises:
        ValueError: If a layer is not one of the above or does not fit its input, or if the network
            does not end in one output per class.
    """
    shape = tuple(input_shape)
    result: list[Layer] = []
    for words in network:
        kind, *arguments = words.split()
        numbers = tuple(classes if a == "classes" else int(a) for a in arguments if _is_size(a))
        if not len(numbers) == len(arguments) == _ARGUMENTS.get(kind):
            raise ValueError(f"Invalid network layer: {words!r}")
        output_shape = _output_shape(kind, numbers, shape)
        if not output_shape or not all(output_shape):
            raise ValueError(f"Invalid network layer: {words!r} (its input has shape {shape})")
        result.append(Layer(kind, numbers, shape, output_shape))
        shape = output_shape
    if shape != (classes,):
        raise ValueError(f"Invalid network: its output has shape {shape}, not ({classes},)")
    return result


def initial_weights(network_layers: Sequence[Layer], seed: int) -> Weights:
    """Return (kernel, bias) of every conv and dense layer, in float32.

    Kernels are drawn from a normal distribution with variance 2/(inputs of a unit), as in He et
    al., arXiv:1502.01852, eq. (10). Biases are zero.
    """
    random = np.random.default_rng(seed)
    weights = []
    for layer in network_layers:
        if layer.kind in ("conv", "valid-conv"):
            filters, size = layer.numbers
            shape: tuple[int, ...] = (size, size, layer.input_shape[-1], filters)
        elif layer.kind == "dense":
            shape = (math.prod(layer.input_shape), *layer.numbers)
        else:
            continue
        kernel = random.standard_normal(shape) * math.sqrt(2 / math.prod(shape[:-1]))
        weights.append((kernel.astype(np.float32), np.zeros(shape[-1], np.float32)))
    return weights


def _is_size(argument: str) -> bool:
    return argument == "classes" or (argument.isdecimal() and int(argument) > 0)


def _output_shape(kind: str, numbers: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the layer's output shape; () or a shape with a zero if the layer does not fit."""
    if kind == "dense":
        return numbers
    if kind in ("relu", "tanh"):
        return shape
    if len(shape) != 3:
        return ()
    height, width, channels = shape
    match kind:
        case "conv":
            return (height, width, numbers[0]) if numbers[1] % 2 else ()
        case "valid-conv":
            filters, size = numbers
            return (max(0, height - size + 1), max(0, width - size + 1), filters)
    (size,) = numbers
    return (height // size, width // size, channels)
