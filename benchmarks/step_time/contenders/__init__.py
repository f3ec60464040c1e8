"""The optimizers that `benchmarks.step_time` compares: one module per framework.

A module `<framework>_contenders` has

    def contenders(shapes) -> Iterator[Contender]
    BASELINES: tuple[str, ...]

where ``shapes`` are the shapes of the parameters (float32), and `BASELINES` names the contenders
that the table shows ratios to. The contenders whose names begin with "INDIAN" or "INNAprop" get
these ratios. All are on the device that the process sees. For whole training steps, the module has

    def training(widths, batch) -> Iterator[Contender]
    TRAINING_BASELINES: tuple[str, ...]

for a perceptron on batches of this size. Its widths are its inputs, hidden layers and classes. The
contender "gradient alone" is the step without an optimizer.

The first contender of `contenders` is the memory-bandwidth reference, named "copy". It copies the
parameters once, x ← y, which reads one stream and writes one. INDIAN and SGD with momentum read
three streams and write two. Adam reads four and writes three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """One optimizer and its parameters, ready to make steps.

    Attributes:
        name: The contender's name in the table, e.g. "INDIAN (fused)".
        step: A function that makes one step, on the same gradients or data each time. It returns
            when the step is done, so it waits on an accelerator and in JAX.
        state_bytes: Bytes of optimizer state in addition to the parameters, including scalars.
    """

    name: str
    step: Callable[[], None]
    state_bytes: int
