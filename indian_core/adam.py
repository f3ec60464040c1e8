r"""INNAprop in Adam's hyperparameters, both ways.

At constant coefficients INNAprop is quasi-hyperbolic momentum on the scaled gradient u, of learning
rate η = γ/α, momentum m = 1 − αγ, and d = αβ for the share of the newest gradient in a step:

$$\gamma = \sqrt{\eta (1 - m)}, \qquad \alpha = \sqrt{(1 - m)/\eta}, \qquad \beta = d/\alpha$$

So it takes AdamW's learning rate η and β1 = m as they are. With d = 1 − m² the momentum is
Nesterov's: the Adam point, which trains as NAdamW does. With d = 1 there is none, and INNAprop is
AdamW with β1 = 0, exactly and under any schedule of γ. It is Adam itself nowhere else: Adam scales
after the momentum, INNAprop before.

Decoupled weight decay takes γλ from θ at each step here and ηλ in AdamW: λ becomes λη/γ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from indian_core.equivalences import checked_damping
from indian_core.hyperparameters import checked


class InnapropHyperparameters(NamedTuple):
    """INNAprop's arguments: γ, α, β, σ, ε and λ, in the order of the optimizers' own."""

    lr: float
    alpha: float
    beta: float
    sigma: float
    eps: float
    weight_decay: float


class KeptInnapropHyperparameters(NamedTuple):
    """INNAprop's arguments where α and β follow lr: `InnapropHyperparameters`, and c."""

    lr: float
    alpha: float
    beta: float
    sigma: float
    eps: float
    weight_decay: float
    reference_lr: float


class AdamHyperparameters(NamedTuple):
    """Adam's arguments, as in torch.optim.AdamW, and d."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    damping: float


def from_adam(
    lr: float,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    damping: float | None = None,
    keep_momentum: bool = False,
) -> InnapropHyperparameters | KeptInnapropHyperparameters:
    """Return the INNAprop that takes the place of this AdamW.

    Args:
        lr: AdamW's learning rate η, > 0.
        betas: AdamW's (β1, β2): β1 becomes the momentum m, 0 ≤ m < 1, and β2 σ.
        eps: AdamW's ε ≥ 0.
        weight_decay: AdamW's λ ≥ 0, decoupled.
        damping: d = αβ, between 1 − m, the heavy ball's, and 1, no momentum at all. None: 1 − m²,
            Nesterov's.
        keep_momentum: Whether m and d stay along a schedule of lr, which is AdamW's own then:
            c = 1 − m, α = 1 and β = d (`indian_core.kept_momentum`).

    Returns:
        INNAprop's hyperparameters, with c if the momentum is kept.

    Raises:
        TypeError: If an argument is not a real number, or betas not two of them.
        ValueError: If one is outside its range.

    Examples:
        >>> found = from_adam(0.25, betas=(0.75, 0.5), weight_decay=0.5)
        >>> found.lr, found.alpha, found.beta, found.sigma, found.weight_decay
        (0.25, 1.0, 0.4375, 0.5, 0.5)
    """
    lr = checked("lr", lr, positive=True)
    if isinstance(betas, str) or not isinstance(betas, Sequence) or len(betas) != 2:
        raise TypeError(f"Invalid betas: {betas!r} (they must be two numbers)")
    momentum = checked("betas[0]", betas[0], below=1)
    sigma = checked("betas[1]", betas[1], below=1)
    damping = checked_damping(momentum, damping, nesterov=True)
    eps, weight_decay = checked("eps", eps), checked("weight_decay", weight_decay)
    if keep_momentum:
        kept = lr, 1.0, damping, sigma, eps, weight_decay, 1 - momentum
        return KeptInnapropHyperparameters(*kept)
    # (One root each: neither the product nor the ratio may leave the range of a float.)
    gamma = math.sqrt(lr) * math.sqrt(1 - momentum)
    alpha = math.sqrt(1 - momentum) / math.sqrt(lr)
    return InnapropHyperparameters(
        lr=gamma,
        alpha=alpha,
        beta=damping / alpha,
        sigma=sigma,
        eps=eps,
        weight_decay=weight_decay * lr / gamma,
    )


def to_adam(
    lr: float, alpha: float, beta: float, sigma: float, eps: float, weight_decay: float
) -> AdamHyperparameters:
    """Return this INNAprop in Adam's hyperparameters: the inverse of `from_adam`.

    Args:
        lr: γ > 0.
        alpha: α > 0.
        beta: β > 0.
        sigma: σ, 0 ≤ σ < 1.
        eps: ε ≥ 0.
        weight_decay: λ ≥ 0.

    Returns:
        η = γ/α, (1 − αγ, σ), ε, λγ/η and d = αβ. The first of the betas is negative for αγ > 1,
        and d may lie outside of what `from_adam` takes.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If one is outside its range.

    Examples:
        >>> to_adam(0.25, 1.0, 0.4375, 0.5, 0.0, 0.5)
        AdamHyperparameters(lr=0.25, betas=(0.75, 0.5), eps=0.0, weight_decay=0.5, damping=0.4375)
    """
    lr = checked("lr", lr, positive=True)
    alpha, beta = checked("alpha", alpha, positive=True), checked("beta", beta)
    return AdamHyperparameters(
        lr=lr / alpha,
        betas=(1 - alpha * lr, checked("sigma", sigma)),
        eps=checked("eps", eps),
        weight_decay=checked("weight_decay", weight_decay) * alpha,
        damping=alpha * beta,
    )
