r"""A step size from the curvature of a loss: the computation behind every `suggest_lr`.

On curvatures up to L, constant step sizes up to min(γ_max(0), γ_max(L)) are stable, with
γ_max(0) = 2/α (`indian_core.tuning.stability`). The suggestion is a fraction of this limit,
``safety``, because training will meet larger curvatures than L: a minibatch is more curved than the
whole loss, and the curvature rises during the first steps. docs/suggest-tables.md has the
measurements behind the default.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from indian_core.arrays import check_fit
from indian_core.hyperparameters import ALPHA, BETA, checked
from indian_core.tuning.curvature import largest_eigenvalue
from indian_core.tuning.stability import max_lr
from indian_core.tuning.vectors import Array, join, split

SAFETY = 0.5


@dataclass(frozen=True)
class StepSize:
    """A suggested step size, and the values that it was computed from.

    Attributes:
        lr: The suggestion, γ = safety · limit.
        limit: The step size at which training becomes unstable, min(2/α, γ_max(curvature)).
        curvature: L, the largest curvature found, per unit of θ². Negative if the loss curves
            down in every direction.
        alpha: α, the viscous damping for which the step size is meant.
        beta: β, the Newton damping for which the step size is meant.
        safety: The fraction of the limit that is suggested.
        initial_speed: The suggested s. It is 1, the paper's start, if the first step −γ v then does
            not overshoot the minimum along the direction of largest curvature (γL ≤ 1). Otherwise
            it is the smaller of 1 and β, where s = β is a start from rest.
        warnings: Texts that explain why the suggestion is doubtful.
    """

    lr: float
    limit: float
    curvature: float
    alpha: float
    beta: float
    safety: float
    initial_speed: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the suggestion, its origin and the warnings in a few lines."""
        start = "the paper's start" if self.initial_speed == 1 else "from rest"
        lines = [
            f"largest curvature  {self.curvature:.4g}",
            f"limit              {self.limit:.4g}  (alpha={self.alpha:g}, beta={self.beta:g})",
            f"suggestion         lr={self.lr:.4g}  (safety {self.safety:g})",
            f"                   initial_speed={self.initial_speed:g}  ({start})",
        ]
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


def from_curvature(
    curvature: float, alpha: float = ALPHA, beta: float = BETA, safety: float = SAFETY
) -> StepSize:
    """Return the step size for a loss whose largest curvature is known.

    Args:
        curvature: L, any finite number. A negative curvature sets no limit.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        safety: The fraction of the limit to suggest, > 0.

    Returns:
        The suggestion. If L is so small that α alone sets the limit, it holds a warning, which is
        not raised.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is NaN, infinite or out of range, or if nothing sets a limit
            (L ≤ 0 and α = 0).

    Examples:
        >>> print(from_curvature(100.0, alpha=0.5, beta=0.5, safety=0.5))
        largest curvature  100
        limit              0.04129  (alpha=0.5, beta=0.5)
        suggestion         lr=0.02065  (safety 0.5)
                           initial_speed=0.5  (from rest)
    """
    alpha, beta = checked("alpha", alpha), checked("beta", beta)
    safety = checked("safety", safety, positive=True)
    curvature = math.copysign(checked("curvature", abs(curvature)), curvature)
    of_curvature = float(max_lr(max(curvature, 0.0), alpha, beta))
    of_alpha = float(max_lr(0.0, alpha, beta))
    limit = min(of_alpha, of_curvature)
    if not np.isfinite(limit):
        raise ValueError(
            f"no step size follows from curvature {curvature:.4g} and alpha=0: every one is "
            "stable. Give an alpha > 0, or ask again where the loss is curved"
        )
    lr = safety * limit
    return StepSize(
        lr=lr,
        limit=limit,
        curvature=curvature,
        alpha=alpha,
        beta=beta,
        safety=safety,
        initial_speed=1.0 if lr * curvature <= 1 else min(1.0, beta),
        warnings=(_flat(curvature, alpha),) if of_curvature >= of_alpha else (),
    )


def from_gradients(
    gradient: Callable[[list[npt.NDArray[Any]]], Iterable[npt.ArrayLike]],
    params: Sequence[npt.NDArray[Any]],
    alpha: float,
    beta: float,
    safety: float,
    eps: float = 2.0**-52,
) -> StepSize:
    r"""Return the step size for a loss that is known by its gradient, and raise its warnings.

    The Hessian times a vector is a central difference,

    $$\nabla^2 J(\theta)\, v \approx \frac{\nabla J(\theta + hv) - \nabla J(\theta - hv)}{2h},
      \qquad h = \frac{\sqrt[3]{\text{eps}}\,(1 + \text{rms}(\theta))}{\|v\|}$$

    which balances the rounding of the gradients against the third derivative. Such differences do
    not see kinks that lie farther away. So the gradient is evaluated once more, at the end of the
    first step d that the suggestion makes. If the curvature along that step,

    $$\frac{\langle \nabla J(\theta + d) - \nabla J(\theta), d\rangle}{\|d\|^2},$$

    would more than halve the limit, it is used instead.

    Args:
        gradient: A function that returns ∇J at a list of arrays like ``params``.
        params: θ, arrays of real or complex numbers.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        safety: The fraction of the limit to suggest, > 0.
        eps: The machine epsilon of the gradients.

    Returns:
        The suggestion, whose warnings have been raised as UserWarning.

    Raises:
        ValueError: As in `from_curvature`; if there are no parameters; or if a gradient is not
            finite.
        ImportError: If SciPy is missing.

    Examples:
        >>> import numpy as np
        >>> h = np.array([1.0, 100.0])
        >>> found = from_gradients(lambda theta: [h * theta[0]], [np.ones(2)], 0.5, 0.5, 0.5)
        >>> round(found.limit, 6)
        0.041292
    """
    alpha, beta = checked("alpha", alpha), checked("beta", beta)
    safety = checked("safety", safety, positive=True)
    start = join(params)
    if start.size == 0:
        raise ValueError("Invalid params: there are none, or all are empty")

    def at(displacement: Array) -> Array:
        found = join(gradient(split(start + displacement, params)))
        check_fit("gradient", found.shape, start.shape)
        return found

    here = at(np.zeros_like(start))
    if not np.isfinite(here).all():
        raise ValueError("Invalid loss: its gradient is NaN or infinite")
    distance = eps ** (1 / 3) * (1 + float(np.sqrt(np.mean(start**2))))

    def product(vector: Array) -> Array:
        step = distance / float(np.linalg.norm(vector))
        difference: Array = (at(step * vector) - at(-step * vector)) / (2 * step)
        return difference

    largest = largest_eigenvalue(product, start.size)
    suggestion = from_curvature(largest, alpha, beta, safety)
    step = -suggestion.lr * suggestion.initial_speed * here
    squared = float(step @ step)
    if squared > 0:
        along = float((at(step) - here) @ step) / squared
        # If the step leaves the loss's domain, nothing can be learned from it.
        if np.isfinite(along):
            of_stretch = from_curvature(along, alpha, beta, safety)
            if of_stretch.limit < suggestion.limit / 2:
                text = _kinked(suggestion.curvature, along)
                suggestion = StepSize(**vars(of_stretch) | {"warnings": (text,)})
    for text in suggestion.warnings:
        warnings.warn(text, UserWarning, stacklevel=3)
    return suggestion


def _flat(curvature: float, alpha: float) -> str:
    if curvature > 0:
        shape = f"the largest curvature, {curvature:.4g}, is small for alpha={alpha:g}"
        cause = "The loss is nearly flat here, or alpha is larger than it needs"
    else:
        shape = f"no direction is curved upwards (the largest curvature is {curvature:.4g})"
        cause = "The loss is flat or concave here"
    return (
        f"{shape}: only alpha limits the step, to 2/alpha = {2 / alpha:.4g}. {cause}. The "
        "curvature may rise as soon as training moves: ask again after some steps"
    )


def _kinked(curvature: float, along: float) -> str:
    return (
        f"over one step the gradient changes as if the curvature were {along:.4g}, not "
        f"{curvature:.4g} as it is nearby: the loss has kinks or is far from quadratic here. The "
        "suggestion is for the larger one; smaller steps may meet a larger one still"
    )
