"""INDIAN in its two forms, (θ, ψ) and (θ, w), with each variable in a precision of its own.

A module `on_<framework>` has `VERSIONS` and a class `Training`, a network that is being trained:

* ``Training(variant, rule, layers, weights, images, labels, seed)``;
* ``train(batches)`` makes one step on each row of (steps, batch_size) indices of images;
* ``coast(steps)`` makes so many steps with zero gradients;
* ``theta``, all parameters, flat, in float64: assigned as an outsider would, no state changes;
* ``logits(images)``, the network's outputs, computed in float64.

The momentum form is the adapter's
own; the phase-space form is `indian_core.phase_space` on the framework's tensors, since no adapter
runs it. That one computes a step in the larger precision of θ and ψ, at least in float32, and
rounds each of them once, as the adapters do where θ or w has 16 bits.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

FRAMEWORKS = ("torch", "jax")


@dataclass(frozen=True)
class Variant:
    """What is stored, and how.

    Attributes:
        form: "psi" or "momentum".
        parameters: The dtype of θ, in which the network computes too.
        state: The dtype of ψ or w.
        stochastic_rounding: Whether 16-bit parameters are rounded at random.
    """

    form: str
    parameters: str
    state: str
    stochastic_rounding: bool = False

    def __post_init__(self) -> None:
        if self.form not in ("psi", "momentum"):
            raise ValueError(f"Invalid form: {self.form!r} (it must be 'psi' or 'momentum')")
        if self.stochastic_rounding and self.form == "psi":
            raise ValueError("Invalid stochastic_rounding: True (the psi form has none)")

    def __str__(self) -> str:
        letter = {"psi": "ψ", "momentum": "w"}[self.form]
        rounding = ", stochastic rounding" if self.stochastic_rounding else ""
        return f"θ {self.parameters}, {letter} {self.state}{rounding}"


@dataclass(frozen=True)
class Rule:
    """INDIAN's hyperparameters: the step sizes are lr (k + 1)^(−power)."""

    lr: float
    power: float
    alpha: float
    beta: float
    initial_speed: float


def module(framework: str) -> Any:
    """Return a framework's module, which has `VERSIONS` and `Training`."""
    return importlib.import_module(f"{__name__}.on_{framework}")
