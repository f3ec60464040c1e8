"""The sets of parameters on which step times are measured."""

from __future__ import annotations

import itertools
import math

Shape = tuple[int, ...]


def resnet50() -> list[Shape]:
    """Return the shapes of ResNet-50's 161 parameters (25.6 million numbers), in order."""

    def convolution_and_norm(out: int, into: int, size: int) -> list[Shape]:
        return [(out, into, size, size), (out,), (out,)]

    shapes = convolution_and_norm(64, 3, 7)
    into = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        out = 4 * width
        for block in range(blocks):
            shapes += convolution_and_norm(width, into, 1)
            shapes += convolution_and_norm(width, width, 3)
            shapes += convolution_and_norm(out, width, 1)
            if block == 0:
                shapes += convolution_and_norm(out, into, 1)
            into = out
    return [*shapes, (1000, into), (1000,)]


SHAPES: dict[str, list[Shape]] = {
    "ResNet-50": resnet50(),
    "1000 x 1000": [(1000,)] * 1000,
}


# The inputs, hidden layers and classes of the perceptron whose training steps are timed.
WIDTHS = (784, 1024, 1024, 10)
BATCHES = {"perceptron, batches of 16": 16, "perceptron, batches of 256": 256}


def perceptron() -> list[Shape]:
    """Return the shapes of the perceptron's parameters, in order."""
    pairs = itertools.pairwise(WIDTHS)
    return [shape for into, out in pairs for shape in ((out, into), (out,))]


def numbers(shapes: list[Shape]) -> int:
    """Return the count of numbers in parameters of these shapes."""
    return sum(math.prod(shape) for shape in shapes)
