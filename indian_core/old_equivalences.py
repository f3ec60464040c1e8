r"""The exact identities with gradient descent, heavy ball, Nesterov and QHM, in both directions.

With a constant step size and a start from rest (w_0 = 0, that is ``initial_speed = beta``), INDIAN
*is* the quasi-hyperbolic momentum method, QHM (Ma and Yarats, arXiv:1810.06801),

$$g_{k+1} = m\, g_k + (1 - m)\, v_k, \qquad
  \theta_{k+1} = \theta_k - \eta\,((1 - \nu)\, v_k + \nu\, g_{k+1})$$

with

$$\gamma = \sqrt{\eta (1 - m)}, \quad \alpha = \sqrt{(1 - m)/\eta}, \quad
  \beta = (1 - \nu m)/\alpha,$$
$$\eta = \gamma/\alpha, \quad m = 1 - \alpha\gamma, \quad
  \nu = (1 - \alpha\beta)/(1 - \alpha\gamma).$$

SGD in the form of the frameworks is QHM with η = lr/(1 − m). The remaining choice is d = αβ, the
share of the newest gradient in a step: 1 − m for the heavy ball (ν = 1, β = γ), 1 − m² for
Nesterov's momentum (ν = m, β = γ (1 + m)), and 1 for gradient descent. So a tuned SGD run can be
reproduced exactly, and d can then be increased from there at the same η.

The identities hold step by step while the step size is constant. η = γ/α is linear in γ. A schedule
of SGD's lr whose factors are applied to γ unchanged therefore scales η as it scales SGD's η. It
leaves d constant, but the memory, 1/(αγ) steps, grows as γ falls.

Along a schedule of SGD's own lr, at constant m, the coefficients are γ_k = √lr_k, α_k = (1 − m)/γ_k
and β_k = r γ_k, and w is kept in units of γ. On b = w/γ all coefficients of the step except lr_k
are constant, so the step equals SGD's for any schedule, including lr_k = 0:

$$\theta_{k+1} = \theta_k - lr_k\,(b_k + r v_k), \qquad b_{k+1} = m\, b_k + (1 - d)\, v_k$$
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from indian_core.hyperparameters import checked
from indian_core.linear_step import Coefficients


class IndianHyperparameters(NamedTuple):
    """INDIAN's arguments: γ, α, β and s, in the order of the optimizers' arguments."""

    lr: float
    alpha: float
    beta: float
    initial_speed: float


class _Named(Protocol):
    def _asdict(self) -> dict[str, Any]: ...


Hyperparameters = TypeVar("Hyperparameters", bound=_Named)


@dataclass(frozen=True)
class Kept(Generic[Hyperparameters]):
    """Hyperparameters whose α and β follow lr (`indian_core.kept_momentum`).

    This is no tuple, because an optimizer takes c by its name only: ``INDIAN(**found._asdict())``.

    Attributes:
        at: The hyperparameters, whose α and β are those at c.
        reference_lr: c, the reference learning rate.
    """

    at: Hyperparameters
    reference_lr: float

    def _asdict(self) -> dict[str, Any]:
        return self.at._asdict() | {"reference_lr": self.reference_lr}


class QHMHyperparameters(NamedTuple):
    """QHM's arguments: η, m and ν. m is negative for αγ > 1, and ν may lie outside [0, 1]."""

    lr: float
    momentum: float
    nu: float


class SGDHyperparameters(NamedTuple):
    """SGD's arguments in torch.optim.SGD, keras.optimizers.SGD and optax.sgd."""

    lr: float
    momentum: float
    nesterov: bool


def from_gradient_descent(lr: float, beta: float) -> IndianHyperparameters:
    """Return the INDIAN that is gradient descent: αβ = 1 and γ = lr/β.

    Args:
        lr: The step size of gradient descent, > 0.
        beta: β > √(lr/2), otherwise free. It determines α = 1/β and γ, from which they may then be
            varied. (w is zero in exact arithmetic. At or below √(lr/2), where αγ ≥ 2, its rounding
            errors would grow from step to step.)

    Returns:
        INDIAN's hyperparameters.

    Raises:
        ValueError: If lr is not positive or β is too small.

    Examples:
        >>> from_gradient_descent(lr=0.25, beta=0.5)
        IndianHyperparameters(lr=0.5, alpha=2.0, beta=0.5, initial_speed=0.5)
    """
    lr = checked("lr", lr, positive=True)
    beta = checked("beta", beta, positive=True)
    if lr >= 2 * beta**2:
        raise ValueError(f"Invalid beta: {beta} (it must be greater than sqrt(lr/2) with lr={lr})")
    return IndianHyperparameters(lr=lr / beta, alpha=1 / beta, beta=beta, initial_speed=beta)


def from_sgd(
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    damping: float | None = None,
    keep_momentum: bool = True,
    dampening: float = 0.0,
) -> IndianHyperparameters | Kept[IndianHyperparameters]:
    """Return the INDIAN that is this SGD, from rest, under any schedule of its lr.

    Args:
        lr: SGD's learning rate: ≥ 0, or > 0 without ``keep_momentum``.
        momentum: SGD's momentum m, 0 ≤ m ≤ 1.
        nesterov: Whether SGD uses Nesterov's momentum, d = 1 − m².
        damping: d = αβ, from 1 − m (heavy ball) to 1 (gradient descent). None, the default, means
            SGD's own d.
        keep_momentum: Whether m and d stay constant along a schedule of lr. INDIAN's lr is then
            SGD's own lr, with c = 1, α = 1 − m and β = d/α (`indian_core.kept_momentum`). False
            means γ = √lr, α = (1 − m)/γ and β = d/α, which is SGD only at a constant lr.
        dampening: PyTorch's argument, which must be 0.

    Returns:
        INDIAN's hyperparameters, with their reference c if the momentum is kept.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If lr, m or d is outside its range, if Nesterov's momentum is
            used with m = 0, or if a damping is given with Nesterov's momentum or with m = 1.

    Examples:
        >>> found = from_sgd(lr=0.25, momentum=0.75, damping=0.5)
        >>> found.at
        IndianHyperparameters(lr=0.25, alpha=0.25, beta=2.0, initial_speed=2.0)
        >>> found.reference_lr
        1.0
        >>> from_sgd(lr=0.25, momentum=0.75, nesterov=True, keep_momentum=False)[:3]
        (0.5, 0.5, 0.875)
    """
    lr = checked("lr", lr, positive=not keep_momentum)
    momentum = checked("momentum", momentum)
    if momentum > 1:
        raise ValueError(f"Invalid momentum: {momentum} (it must be at most 1)")
    if dampening != 0:
        raise ValueError(f"Invalid dampening: {dampening} (INDIAN has none: it must be 0)")
    if isinstance(nesterov, float):  # (torch.optim.SGD's own order has dampening there.)
        raise TypeError(f"Invalid nesterov: {nesterov} (it must be a bool)")
    if nesterov and momentum == 0:
        raise ValueError("Nesterov momentum requires a momentum > 0")
    gamma = math.sqrt(lr)
    if damping is not None:
        if nesterov or momentum == 1:
            other = "nesterov=True, which is 1 - momentum**2" if nesterov else "momentum=1"
            raise ValueError(f"Invalid damping: {damping} (it cannot be given with {other})")
        damping = checked_damping(momentum, damping, nesterov=False)
    ratio = sgd_shares(momentum, nesterov, damping).ratio
    if keep_momentum:
        return Kept(IndianHyperparameters(lr, 1 - momentum, ratio, ratio), reference_lr=1.0)
    beta = gamma * ratio
    return IndianHyperparameters(gamma, (1 - momentum) / gamma, beta, initial_speed=beta)


def translated(
    translation: Callable[..., Any], lr: Any, *args: Any, **kwargs: Any
) -> dict[str, Any]:
    """Return the arguments of an optimizer, by name, that another method's arguments become.

    Args:
        translation: `from_sgd` or `indian_core.from_adam`.
        lr: Its lr. If the momentum is kept, it stays as it is, for the optimizer to check. So it
            may then be a tensor or a schedule.
        *args: Its other arguments.
        **kwargs: Its other arguments.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If there is no such method.

    Examples:
        >>> translated(from_sgd, lr="a schedule", momentum=0.75)["lr"]
        'a schedule'
    """
    found = translation(1.0, *args, **kwargs)
    if isinstance(found, Kept):
        return found._asdict() | {"lr": lr}
    if callable(lr):
        raise TypeError(f"Invalid learning rate: {lr!r} (with keep_momentum=False it is a number)")
    numbers: dict[str, Any] = translation(lr, *args, **kwargs)._asdict()
    return numbers | {"reference_lr": None}


class SGDShares(NamedTuple):
    """β of an SGD in terms that do not depend on lr: the result of `sgd_shares`.

    Attributes:
        damping: d = αβ, the share of the newest gradient.
        ratio: r = β/γ.
    """

    damping: Any
    ratio: Any


def sgd_shares(momentum: Any, nesterov: bool = False, damping: Any = None) -> SGDShares:
    """Return d and r = β/γ of an SGD. The arguments are not checked; `from_sgd` checks them.

    Args:
        momentum: SGD's momentum m, a number or a framework's scalar.
        nesterov: Whether SGD uses Nesterov's momentum.
        damping: d. None, the default, means SGD's own d.

    Returns:
        d and r. They are 1 − m and 1 for the heavy ball, 1 − m² and 1 + m for Nesterov's momentum,
        and d and d/(1 − m) for a given damping.

    Examples:
        >>> sgd_shares(0.75, nesterov=True)
        SGDShares(damping=0.4375, ratio=1.75)
    """
    if damping is not None:
        return SGDShares(damping, damping / (1 - momentum))
    ratio = 1 + momentum if nesterov else 1
    return SGDShares((1 - momentum) * ratio, ratio)


def scheduled_sgd(lr: Any, momentum: Any, shares: SGDShares) -> Coefficients:
    """Return the scalars of a step at SGD's own lr, on b = w/γ instead of w.

    For a buffer that holds w, call `rescaled` on the result with before = γ_{k−1} and after = γ_k,
    where γ_k is √lr_k, or γ_{k−1} if lr_k is 0. (SGD's own buffer is b/m, or b/m² with Nesterov's
    momentum.)

    Args:
        lr: SGD's learning rate in this step. It may be 0.
        momentum: SGD's momentum m.
        shares: The `sgd_shares` of that SGD.

    Returns:
        The four `Coefficients`.

    Examples:
        >>> tuple(scheduled_sgd(0.5, 0.75, sgd_shares(0.75, nesterov=True)))
        (-0.5, -0.875, 0.75, 0.5625)
    """
    return Coefficients(
        theta_momentum=-lr,
        theta_gradient=-lr * shares.ratio,
        momentum_momentum=momentum,
        momentum_gradient=1 - shares.damping,
    )


def to_sgd(lr: float, alpha: float, beta: float, tolerance: float = 1e-12) -> SGDHyperparameters:
    """Return the SGD that equals this INDIAN, started from rest: the inverse of `from_sgd`.

    (Of its form without ``keep_momentum``.)

    Args:
        lr: γ > 0.
        alpha: α ≥ 0.
        beta: β > 0.
        tolerance: The largest relative difference of β from γ or γ (2 − αγ), or of αβ from 1.

    Returns:
        SGD's hyperparameters. They are those of gradient descent if αβ = 1, of the heavy ball if
        β = γ, and of Nesterov's momentum if β = γ (2 − αγ).

    Raises:
        ValueError: If this INDIAN is not an SGD, or is one with a negative momentum.

    Examples:
        >>> to_sgd(lr=0.5, alpha=0.5, beta=0.875)
        SGDHyperparameters(lr=0.25, momentum=0.75, nesterov=True)
    """
    lr = checked("lr", lr, positive=True)
    alpha = checked("alpha", alpha)
    beta = checked("beta", beta, positive=True)
    momentum = 1 - alpha * lr
    if math.isclose(alpha * beta, 1, rel_tol=tolerance):
        return SGDHyperparameters(lr * beta, 0.0, nesterov=False)
    if momentum >= 0:
        if math.isclose(beta, lr, rel_tol=tolerance):
            return SGDHyperparameters(lr * lr, momentum, nesterov=False)
        if math.isclose(beta, lr * (1 + momentum), rel_tol=tolerance):
            return SGDHyperparameters(lr * lr, momentum, nesterov=True)
    raise ValueError(
        f"No SGD equals INDIAN with lr={lr}, alpha={alpha}, beta={beta}: it takes alpha*beta = 1 "
        "(gradient descent), or alpha*lr <= 1 and beta = lr (heavy ball) or "
        "beta = lr*(2 - alpha*lr) (Nesterov)"
    )


def from_qhm(lr: float, momentum: float, nu: float) -> IndianHyperparameters:
    """Return the INDIAN that is this QHM: γ = √(η (1 − m)), α = √((1 − m)/η), β = (1 − νm)/α.

    Args:
        lr: QHM's learning rate η > 0.
        momentum: QHM's momentum m (its paper's β), 0 ≤ m < 1.
        nu: QHM's ν ≥ 0, with νm < 1.

    Returns:
        INDIAN's hyperparameters.

    Raises:
        ValueError: If an argument is outside its range.

    Examples:
        >>> from_qhm(lr=1.0, momentum=0.75, nu=1.0)
        IndianHyperparameters(lr=0.5, alpha=0.5, beta=0.5, initial_speed=0.5)
    """
    lr = checked("lr", lr, positive=True)
    momentum = checked("momentum", momentum)
    nu = checked("nu", nu)
    if momentum >= 1:
        raise ValueError(f"Invalid momentum: {momentum} (it must be less than 1)")
    if nu * momentum >= 1:
        raise ValueError(f"Invalid nu: {nu} (nu*momentum must be less than 1)")
    alpha = math.sqrt((1 - momentum) / lr)
    beta = (1 - nu * momentum) / alpha
    return IndianHyperparameters(math.sqrt(lr * (1 - momentum)), alpha, beta, initial_speed=beta)


def to_qhm(lr: float, alpha: float, beta: float) -> QHMHyperparameters:
    """Return the QHM that equals this INDIAN, started from rest. It is the inverse of `from_qhm`.

    Args:
        lr: γ > 0.
        alpha: α > 0.
        beta: β > 0.

    Returns:
        QHM's hyperparameters, η = γ/α, m = 1 − αγ and ν = (1 − αβ)/(1 − αγ).

    Raises:
        ValueError: If an argument is not positive, or αγ = 1. In the latter case m = 0, and QHM
            moves by −η v for every ν.

    Examples:
        >>> to_qhm(lr=0.5, alpha=0.5, beta=0.5)
        QHMHyperparameters(lr=1.0, momentum=0.75, nu=1.0)
    """
    lr = checked("lr", lr, positive=True)
    alpha = checked("alpha", alpha, positive=True)
    beta = checked("beta", beta, positive=True)
    momentum = 1 - alpha * lr
    if momentum == 0:
        raise ValueError(f"No QHM equals INDIAN with alpha*lr = 1 (lr={lr}, alpha={alpha})")
    return QHMHyperparameters(lr / alpha, momentum, (1 - alpha * beta) / momentum)


def checked_damping(momentum: float, damping: float | None, *, nesterov: bool) -> float:
    """Return d, or raise if it is invalid.

    Args:
        momentum: m, 0 ≤ m ≤ 1.
        damping: d, 1 − m ≤ d ≤ 1, or None for the heavy ball's 1 − m or Nesterov's 1 − m².
        nesterov: Whether None means Nesterov's d instead of the heavy ball's.

    Raises:
        TypeError: If d is not a real number.
        ValueError: If d is outside its range.
    """
    if damping is None:
        return 1 - momentum**2 if nesterov else 1 - momentum
    damping = checked("damping", damping)
    # (A user's decimal 1 − m may be an ulp below the result of the subtraction.)
    if damping > 1 or damping < (1 - momentum) * (1 - 1e-12):
        raise ValueError(
            f"Invalid damping: {damping} (it must be from 1 - momentum = {1 - momentum:.6g} to 1)"
        )
    return damping
