r"""The exact identities between the two laws: one INDIAN for each DampedSGD, and so on.

At constant numbers, started from rest, the paper's law and the momentum law make the same steps.
With lr, the momentum m and the damping d,

$$\gamma = \sqrt{lr}, \qquad \alpha = (1 - m)/\gamma, \qquad \beta = d/\alpha$$

and for AdamW's learning rate η, which is the total gain γ/α,

$$\gamma = \sqrt{\eta (1 - m)}, \qquad \alpha = \sqrt{(1 - m)/\eta}, \qquad \beta = d/\alpha.$$

So d = αβ, m = 1 − αγ, and a unit gradient moves θ by γ/α = lr/(1 − m) in all. d = 1 − m is the
heavy ball (β = γ), d = 1 − m² is Nesterov's momentum (β = γ (1 + m)), and d = 1 is gradient
descent, or AdamW with β1 = 0. Along a schedule the laws differ: the paper's keeps α and β, so its
memory of 1/(αγ) steps grows as γ falls, and the momentum law keeps m and d.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from indian_core.hyperparameters import checked
from indian_core.momentum_law import checked_damping


class IndianHyperparameters(NamedTuple):
    """INDIAN's arguments: γ, α, β and s, in the order of the optimizers' arguments."""

    lr: float
    alpha: float
    beta: float
    initial_speed: float


class InnapropHyperparameters(NamedTuple):
    """INNAprop's γ, α, β and λ."""

    lr: float
    alpha: float
    beta: float
    weight_decay: float


class DampedSGDHyperparameters(NamedTuple):
    """DampedSGD's lr, m and d."""

    lr: float
    momentum: float
    damping: float


class DampedAdamWHyperparameters(NamedTuple):
    """DampedAdamW's η, m (AdamW's β1), d and λ."""

    lr: float
    momentum: float
    damping: float
    weight_decay: float


def indian_from_damped_sgd(lr: float, momentum: float, damping: float) -> IndianHyperparameters:
    """Return the INDIAN that is this DampedSGD, at constant numbers and from rest.

    γ = √lr, α = (1 − m)/γ and β = d/α.

    Args:
        lr: SGD's learning rate, > 0.
        momentum: m, 0 ≤ m < 1.
        damping: d, from 1 − m to 1. The heavy ball's is 1 − m, Nesterov's is 1 − m².

    Returns:
        INDIAN's hyperparameters. The initial speed is β, a start from rest.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is outside its range.

    Examples:
        >>> indian_from_damped_sgd(lr=0.25, momentum=0.75, damping=0.5)
        IndianHyperparameters(lr=0.5, alpha=0.5, beta=1.0, initial_speed=1.0)
    """
    gamma, alpha, beta = _phase(lr, momentum, damping, total=False)
    return IndianHyperparameters(gamma, alpha, beta, initial_speed=beta)


def damped_sgd_from_indian(lr: float, alpha: float, beta: float) -> DampedSGDHyperparameters:
    """Return the DampedSGD that is this INDIAN, at constant numbers and from rest.

    Args:
        lr: γ > 0.
        alpha: α ≥ 0.
        beta: β > 0.

    Returns:
        lr = γ², m = 1 − αγ and d = αβ. `DampedSGD` takes them if 0 ≤ m and 1 − m ≤ d ≤ 1.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is outside its range.

    Examples:
        >>> damped_sgd_from_indian(lr=0.5, alpha=0.5, beta=1.0)
        DampedSGDHyperparameters(lr=0.25, momentum=0.75, damping=0.5)
    """
    lr, alpha, beta = _checked_phase(lr, alpha, beta)
    return DampedSGDHyperparameters(lr * lr, 1 - alpha * lr, alpha * beta)


def innaprop_from_damped_adamw(
    lr: float, momentum: float, damping: float, weight_decay: float = 0.0
) -> InnapropHyperparameters:
    """Return the INNAprop that is this DampedAdamW, at constant numbers. σ and ε are the same.

    γ = √(η (1 − m)), α = √((1 − m)/η), β = d/α, and the weight decay is λη/γ.

    Args:
        lr: AdamW's learning rate η > 0.
        momentum: AdamW's β1, 0 ≤ m < 1.
        damping: d, from 1 − m to 1.
        weight_decay: AdamW's λ ≥ 0.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is outside its range.

    Examples:
        >>> innaprop_from_damped_adamw(lr=1.0, momentum=0.75, damping=0.5, weight_decay=0.25)
        InnapropHyperparameters(lr=0.5, alpha=0.5, beta=1.0, weight_decay=0.5)
    """
    gamma, alpha, beta = _phase(lr, momentum, damping, total=True)
    decay = checked("weight_decay", weight_decay) * lr / gamma
    return InnapropHyperparameters(gamma, alpha, beta, decay)


def damped_adamw_from_innaprop(
    lr: float, alpha: float, beta: float, weight_decay: float = 0.0
) -> DampedAdamWHyperparameters:
    """Return the DampedAdamW that is this INNAprop, at constant numbers. σ and ε are the same.

    Args:
        lr: γ > 0.
        alpha: α > 0.
        beta: β > 0.
        weight_decay: INNAprop's λ ≥ 0.

    Returns:
        η = γ/α, m = 1 − αγ, d = αβ and the weight decay λγ/η = λα.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is outside its range.

    Examples:
        >>> damped_adamw_from_innaprop(lr=0.5, alpha=0.5, beta=1.0, weight_decay=0.5)
        DampedAdamWHyperparameters(lr=1.0, momentum=0.75, damping=0.5, weight_decay=0.25)
    """
    lr, alpha, beta = _checked_phase(lr, alpha, beta)
    alpha = checked("alpha", alpha, positive=True)
    decay = checked("weight_decay", weight_decay) * alpha
    return DampedAdamWHyperparameters(lr / alpha, 1 - alpha * lr, alpha * beta, decay)


def _phase(
    lr: float, momentum: float, damping: float, *, total: bool
) -> tuple[float, float, float]:
    """Return γ, α and β. ``total`` says whether lr is the total gain γ/α, as AdamW's is."""
    lr = checked("lr", lr, positive=True)
    momentum = checked("momentum", momentum, below=1.0)
    damping = checked("damping", checked_damping(damping, momentum))
    # Separate roots, so that neither the product nor the ratio leaves the range of a float.
    gamma = math.sqrt(lr) * (math.sqrt(1 - momentum) if total else 1)
    alpha = (1 - momentum) / gamma
    return gamma, alpha, damping / alpha


def _checked_phase(lr: float, alpha: float, beta: float) -> tuple[float, float, float]:
    return checked("lr", lr, positive=True), checked("alpha", alpha), checked("beta", beta)
