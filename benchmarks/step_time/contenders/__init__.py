"""The optimizers that `benchmarks.step_time` compares: one module per framework.

A module `<framework>_contenders` has

    def contenders(shapes) -> Iterator[Contender]
    BASELINES: tuple[str, ...]

where ``shapes`` are those of the parameters (float32), and `BASELINES` names the contenders that
the table shows ratios to. A contender whose name begins with "INDIAN" or "INNAprop" gets such
ratios. All are on the device that the process sees. For whole training steps it has

    def training(widths, batch) -> Iterator[Contender]
    TRAINING_BASELINES: tuple[str, ...]

of a perceptron of these widths, its inputs, hidden layers and classes, on batches of that size.
There "gradient alone" is the step without an optimizer.

The first contender of `contenders` is the memory-bandwidth reference, named "copy": parameters
copied once, x ← y, which reads one stream and writes one. INDIAN and SGD with momentum read three
and write two, Adam reads four and writes three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """One optimizer, with parameters and gradients of its own, ready to make steps.

    Attributes:
        name: What the table calls it, e.g. "INDIAN (fused)".
        step: Makes one step on the same gradients or data, and returns when it is done: on an
            accelerator, and in JAX, it waits.
        state_bytes: Bytes of optimizer state on top of the parameters, scalars included.
    """

    name: str
    step: Callable[[], None]
    state_bytes: int
