r"""INNAprop in Adam's hyperparameters, in both directions.

With constant coefficients INNAprop is quasi-hyperbolic momentum on the scaled gradient u. Its
learning rate is η = γ/α, its momentum m = 1 − αγ, and the share of the newest gradient in a step
d = αβ:

$$\gamma = \sqrt{\eta (1 - m)}, \qquad \alpha = \sqrt{(1 - m)/\eta}, \qquad \beta = d/\alpha$$

So AdamW's learning rate η and β1 = m can be used unchanged. With d = 1 − m² the momentum is
Nesterov's. This is the Adam point, which trains like NAdamW. With d = 1 there is no momentum, and
INNAprop is AdamW with β1 = 0, exactly and under any schedule of γ. In no other case is it Adam
itself, because Adam scales after the momentum and INNAprop before it.

Decoupled weight decay subtracts γλθ from θ at each step here, and ηλθ in AdamW, so λ becomes λη/γ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from indian_core.hyperparameters import checked
from indian_core.old_equivalences import Kept, checked_damping


class InnapropHyperparameters(NamedTuple):
    """INNAprop's arguments: γ, α, β, σ, ε and λ, in the order of the optimizers' arguments."""

    lr: float
    alpha: float
    beta: float
    sigma: float
    eps: float
    weight_decay: float


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
    keep_momentum: bool = True,
    amsgrad: bool = False,
) -> InnapropHyperparameters | Kept[InnapropHyperparameters]:
    """Return the INNAprop to use instead of this AdamW.

    Args:
        lr: AdamW's learning rate η: ≥ 0, or > 0 without ``keep_momentum``.
        betas: AdamW's (β1, β2). β1 becomes the momentum m, 0 ≤ m < 1, and β2 becomes σ.
        eps: AdamW's ε ≥ 0.
        weight_decay: AdamW's λ ≥ 0, decoupled.
        damping: d = αβ, from 1 − m (heavy ball) to 1 (no momentum). None, the default, means
            1 − m² (Nesterov).
        keep_momentum: Whether m and d stay constant along a schedule of lr. INNAprop's lr is then
            AdamW's own lr, with c = 1 − m, α = 1 and β = d (`indian_core.kept_momentum`). False
            means γ = √(η (1 − m)), α = √((1 − m)/η), β = d/α and the weight decay λη/γ.
        amsgrad: An argument of the frameworks, which must be False.

    Returns:
        INNAprop's hyperparameters, with their reference c if the momentum is kept.

    Raises:
        TypeError: If an argument is not a real number, or betas are not two real numbers.
        ValueError: If an argument is outside its range.

    Examples:
        >>> found = from_adam(0.125, betas=(0.75, 0.5), weight_decay=0.5)
        >>> found.at[:4], found.reference_lr
        ((0.125, 1.0, 0.4375, 0.5), 0.25)
    """
    if amsgrad:
        raise ValueError(f"Invalid amsgrad: {amsgrad} (INNAprop has none: it must be False)")
    lr = checked("lr", lr, positive=not keep_momentum)
    if isinstance(betas, str) or not isinstance(betas, Sequence) or len(betas) != 2:
        raise TypeError(f"Invalid betas: {betas!r} (they must be two numbers)")
    momentum = checked("betas[0]", betas[0], below=1)
    sigma = checked("betas[1]", betas[1], below=1)
    damping = checked_damping(momentum, damping, nesterov=True)
    eps, weight_decay = checked("eps", eps), checked("weight_decay", weight_decay)
    if keep_momentum:
        at = InnapropHyperparameters(lr, 1.0, damping, sigma, eps, weight_decay)
        return Kept(at, reference_lr=1 - momentum)
    # (Separate roots, so that neither the product nor the ratio leaves the range of a float.)
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

    (Of its form without ``keep_momentum``.)

    Args:
        lr: γ > 0.
        alpha: α > 0.
        beta: β > 0.
        sigma: σ, 0 ≤ σ < 1.
        eps: ε ≥ 0.
        weight_decay: λ ≥ 0.

    Returns:
        η = γ/α, (1 − αγ, σ), ε, λγ/η and d = αβ. The first of the betas is negative for αγ > 1,
        and d may lie outside the range that `from_adam` accepts.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is outside its range.

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
