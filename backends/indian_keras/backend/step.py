"""What the backends are given: the scalars of a step, and each variable with its slots."""

from __future__ import annotations

from typing import Any, NamedTuple

from indian_core import Coefficients


class Scaling(NamedTuple):
    """How gradients are scaled.

    Attributes:
        sigma: The decay rate of V.
        eps: ε.
        t: The number of gradients in V, with this step's.
        correction: 1 − σ^t.
    """

    sigma: float
    eps: float
    t: Any
    correction: Any


class Step(NamedTuple):
    """The scalars of a step, the same for all variables: floats on torch, elsewhere tensors too.

    Attributes:
        linear: The scalars of the linear step.
        decay: The learning rate times the weight decay, or None without weight decay.
        pull: How many times θ is added to the momentum before the step
            (`indian_core.authors_pull`), or None.
        scaling: How gradients are scaled, or None where they are not.
    """

    linear: Coefficients
    decay: Any = None
    pull: Any = None
    scaling: Scaling | None = None


class Slots(NamedTuple):
    """A variable with its slots.

    Attributes:
        variable: θ.
        momentum: The slot that the linear step calls s, or None for a step without momentum.
        squares: V, or None.
        decays: Whether weight decay applies to the variable.
    """

    variable: Any
    momentum: Any
    squares: Any
    decays: bool
