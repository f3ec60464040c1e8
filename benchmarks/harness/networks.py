"""Networks as data: a list of words per network, shapes, and the initial weights.

A network is a list such as ``["conv 16 3", "relu", "max-pool 2", "dense classes"]``:

* ``pad-to SIZE``: zeros around the image, up to SIZE × SIZE;
* ``conv FILTERS SIZE``: SIZE × SIZE convolution, SIZE odd, padded to keep the image's size;
* ``valid-conv FILTERS SIZE``: the same without padding;
* ``max-pool SIZE [STRIDE]``: SIZE × SIZE windows, STRIDE (or SIZE) apart; pixels that do not fill a
  window are left out;
* ``mean-pool SIZE [STRIDE]``: the same windows, averaged;
* ``dropout PERCENT``: in training, this percentage of the numbers is set to zero and the others are
  scaled up;
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

# How many numbers may follow each word.
_ARGUMENTS = {
    **dict.fromkeys(("pad-to", "dropout", "dense"), (1,)),
    **dict.fromkeys(("conv", "valid-conv"), (2,)),
    **dict.fromkeys(("max-pool", "mean-pool"), (1, 2)),
    **dict.fromkeys(("relu", "tanh"), (0,)),
}


class Layer(NamedTuple):
    """A layer: its kind, the numbers in its words, and its input and output shapes."""

    kind: str
    numbers: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Number of zeros (above, below) and (left of, right of) the image, for conv and pad-to."""
        if self.kind == "conv":
            return (self.numbers[1] // 2,) * 2, (self.numbers[1] // 2,) * 2
        (to,) = self.numbers
        missing = [to - n for n in self.input_shape[:2]]
        above, left = (n // 2 for n in missing)
        return (above, missing[0] - above), (left, missing[1] - left)

    @property
    def window(self) -> tuple[int, int]:
        """The size and the stride of a pool's windows."""
        return self.numbers[0], self.numbers[-1]


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
        if len(numbers) != len(arguments) or len(numbers) not in _ARGUMENTS.get(kind, ()):
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
    match kind:
        case "dense":
            return numbers
        case "dropout" if numbers[0] >= 100:
            return ()
        case "relu" | "tanh" | "dropout":
            return shape
    return _image_shape(kind, numbers, shape) if len(shape) == 3 else ()


def _image_shape(kind: str, numbers: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    height, width, channels = shape
    match kind:
        case "pad-to":
            (to,) = numbers
            return (to, to, channels) if max(height, width) <= to else ()
        case "conv":
            return (height, width, numbers[0]) if numbers[1] % 2 else ()
        case "valid-conv":
            channels, size = numbers
            stride = 1
        case _:
            size, stride = numbers[0], numbers[-1]
    return (*(max(0, (n - size) // stride + 1) for n in (height, width)), channels)
