r"""INDIAN in momentum form (θ, w): the change of variables and the scalars of one step.

The paper's own w = (α − 1/β) θ + ψ/β (proof of Theorem 14) turns equation (11) into

$$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$
$$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k$$
$$w_0 = (s - \beta)\, v_0$$

exactly, for any sequence of step sizes γ_k. The adapters store w for three reasons. It keeps its
digits, while ψ is as large as θ and its rounding error enters the velocity multiplied by 1/β. It
does not change when θ is changed from outside. And it can start at zero, without a copy of θ.

One step is a linear map in (θ, w, v). It has three forms that give the same numbers:

* `coefficients`: θ from the old w, in two multiply-adds, for frameworks that work in place.
* `from_new_momentum`: θ from the new w. In this order XLA can update both buffers in one pass.
* `as_nesterov_sgd`: one call of SGD with dampening, Nesterov or heavy ball, on a scaled buffer,
  for a fused SGD kernel.

Everything here except `as_nesterov_sgd` is plain arithmetic without branches, so it works on Python
floats, NumPy scalars, traced JAX values and tensors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


def psi_from_momentum(theta: Any, momentum: Any, alpha: Any, beta: Any, units: Any = 1) -> Any:
    r"""Return the paper's ψ = (1 − αβ) θ + β w.

    Args:
        theta: θ, the parameters: a number or an array.
        momentum: w, of θ's shape.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        units: The units of `momentum`; see `momentum_units`.

    Returns:
        ψ, of θ's shape.

    Examples:
        >>> psi_from_momentum(2.0, 3.0, alpha=0.5, beta=0.5)
        3.0
    """
    return (1 - alpha * beta) * theta + beta * units * momentum


def momentum_from_psi(theta: Any, psi: Any, alpha: Any, beta: Any, units: Any = 1) -> Any:
    r"""Return w = (ψ − (1 − αβ) θ)/β, the inverse of `psi_from_momentum`.

    Args:
        theta: θ, the parameters: a number or an array.
        psi: ψ, of θ's shape.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        units: The units of the result; see `momentum_units`.

    Returns:
        w, of θ's shape.

    Raises:
        ValueError: If the units are the float 0, because at lr = 0 every w has the same ψ.

    Examples:
        >>> momentum_from_psi(2.0, 3.0, alpha=0.5, beta=0.5)
        3.0
    """
    if isinstance(units, float) and units == 0:
        raise ValueError("Invalid psi: at a learning rate of 0 it says nothing of the momentum")
    return (psi - (1 - alpha * beta) * theta) / (beta * units)


class Coefficients(NamedTuple):
    """The scalars of one step that reads the old w: the result of `coefficients`.

    Both lines use w_k, so update θ first or keep the old w.

        θ_{k+1} = θ_k + theta_momentum · w_k + theta_gradient · v_k
        w_{k+1} = momentum_momentum · w_k + momentum_gradient · v_k
    """

    theta_momentum: Any
    theta_gradient: Any
    momentum_momentum: Any
    momentum_gradient: Any


def coefficients(
    lr: Any,
    alpha: Any,
    beta: Any,
    initial_speed: Any = None,
    first: Any = False,
    reference_lr: Any = None,
) -> Coefficients:
    r"""Return the four scalars of one step.

    With f = 1 on the first step of a parameter and f = 0 on all others,

        theta_momentum    = −γ
        theta_gradient    = −γ (β + f (s − β))
        momentum_momentum = 1 − αγ
        momentum_gradient = γ (1 − αβ) + f (1 − αγ)(s − β)

    The terms in f put w_0 = (s − β) v_0 into the map itself. So the buffer can start at zero, and
    no step has to branch on a tensor.

    Args:
        lr: γ ≥ 0, the step size: a number, or a framework's scalar, traced or not.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. None, the default,
            means β, a start from rest.
        first: Whether this is the first step, with w = 0: a bool, or a scalar that is 0 or 1.
        reference_lr: c, which replaces γ in the last two scalars; see `indian_core.kept_momentum`.
            None, the default, means γ.

    Returns:
        The four `Coefficients`.

    Examples:
        >>> tuple(coefficients(lr=0.5, alpha=0.5, beta=1.0))
        (-0.5, -0.5, 0.75, 0.25)
    """
    clock = lr if reference_lr is None else reference_lr
    decay = 1 - alpha * clock
    start = 0 if initial_speed is None else first * (initial_speed - beta)
    return Coefficients(
        theta_momentum=-lr,
        theta_gradient=-lr * (beta + start),
        momentum_momentum=decay,
        momentum_gradient=clock * (1 - alpha * beta) + decay * start,
    )


def rescaled(step: Coefficients, before: Any, after: Any) -> Coefficients:
    """Return the same step on a buffer that holds w in other units.

    Args:
        step: The `Coefficients` of a step on w.
        before: The ratio of the buffer to w before the step.
        after: The ratio of the buffer to the new w after the step.

    Returns:
        The `Coefficients` of the step on the buffer.

    Examples:
        >>> tuple(rescaled(Coefficients(-0.5, -0.5, 0.75, 0.25), before=2.0, after=4.0))
        (-0.25, -0.5, 1.5, 1.0)
    """
    return Coefficients(
        theta_momentum=step.theta_momentum / before,
        theta_gradient=step.theta_gradient,
        momentum_momentum=step.momentum_momentum * after / before,
        momentum_gradient=step.momentum_gradient * after,
    )


class NewMomentumCoefficients(NamedTuple):
    """The scalars of one step that reads the new w: the result of `from_new_momentum`.

    w_{k+1} = momentum_momentum · w_k + momentum_gradient · v_k
    θ_{k+1} = θ_k + theta_momentum · w_{k+1} + theta_gradient · v_k
    """

    momentum_momentum: Any
    momentum_gradient: Any
    theta_momentum: Any
    theta_gradient: Any


SMALLEST_DECAY = 2.0**-4
"""The smallest |1 − αγ| at which the adapters use the new w. There the division in
`from_new_momentum` costs at most log2(1/SMALLEST_DECAY) bits of the gradient's part of θ's update.
Below it the division would cost more, and the adapters use the old w."""


def from_new_momentum(step: Coefficients) -> NewMomentumCoefficients:
    r"""Return the scalars of the same step with θ written from the new w.

    With A, B, C, D the four of `coefficients`, w_k = (w_{k+1} − D v_k)/C gives

        θ_{k+1} = θ_k + (A/C) w_{k+1} + (B − A D/C) v_k

    It needs C = 1 − αγ ≠ 0, and |C| ≥ `SMALLEST_DECAY` to keep its digits.

    Args:
        step: The `Coefficients` of the step.

    Returns:
        The four `NewMomentumCoefficients`.

    Raises:
        ZeroDivisionError: If αγ = 1 and the coefficients are Python floats. (Array scalars follow
            their framework's rule for a division by zero.)

    Examples:
        >>> tuple(from_new_momentum(Coefficients(-0.5, -0.5, 0.5, 0.25)))
        (0.5, 0.25, -1.0, -0.25)
    """
    ratio = step.theta_momentum / step.momentum_momentum
    return NewMomentumCoefficients(
        momentum_momentum=step.momentum_momentum,
        momentum_gradient=step.momentum_gradient,
        theta_momentum=ratio,
        theta_gradient=step.theta_gradient - ratio * step.momentum_gradient,
    )


ROUNDING = 2.0**-46
"""How much rounding may leave, relative to γβ, of a difference that is zero at γ = β."""

# Where nothing decays, a scale is set anew if its relative error is at least this large, which is
# at most 2^8 times while γ changes by a factor e.
_FAR = 2.0**-8


class NesterovSGD(NamedTuple):
    """One step as one call of SGD with dampening: the result of `as_nesterov_sgd`.

    The kernel's buffer is scale · w. If `factor` is not 1, first multiply the buffer by it. Then

        buffer ← momentum · buffer + (1 − dampening) · v
        θ ← θ − lr · (v + momentum · buffer)    if nesterov
        θ ← θ − lr · buffer                     otherwise

    and the buffer then holds `scale` times the new w.
    """

    lr: float
    momentum: float
    dampening: float
    nesterov: bool
    factor: float
    scale: float


def heavy_ball(step: Coefficients, scale: float = 1.0) -> NesterovSGD:
    r"""Return the step as a call of the heavy ball. At γ = β the two are equal.

    With A, B, C, D the four of `coefficients` and σ the scale,

        lr = −A/(C σ),   momentum = C,   dampening = 1 − σ D

    The call omits (B − A D/C) v from θ's update. This factor of v is zero at γ = β. In general it
    is the `theta_gradient` of `from_new_momentum`.

    Args:
        step: The `Coefficients` of the step, as Python floats, with C ≠ 0.
        scale: σ ≠ 0. The buffer holds σ w, before the step and after it.

    Returns:
        The call, with ``nesterov=False``.

    Examples:
        >>> call = heavy_ball(coefficients(lr=0.5, alpha=1.0, beta=0.5))
        >>> call.lr, call.momentum, call.dampening
        (1.0, 0.5, 0.75)
    """
    return NesterovSGD(
        lr=-step.theta_momentum / (step.momentum_momentum * scale),
        momentum=step.momentum_momentum,
        dampening=1 - scale * step.momentum_gradient,
        nesterov=False,
        factor=1.0,
        scale=scale,
    )


def as_nesterov_sgd(
    step: Coefficients, scale: float, fresh: bool = False, *, dtype: npt.DTypeLike = np.float64
) -> NesterovSGD | None:
    r"""Return the step as one SGD call on a buffer that holds ``scale`` times w.

    SGD with dampening has three scalars, and INDIAN's step has four. The buffer's scale is the
    fourth. With A, B, C, D the four of `coefficients`, σ the scale before and σ' after the step,

        lr = −B + A D/C,   momentum = C σ'/σ,   dampening = 1 − σ' D,   σ'² = −A σ/(lr C²)

    If lr is not zero, σ' has the sign of lr. When lr changes its sign (γ crosses β), the buffer is
    negated once. If lr is zero (γ = β), the call is that of `heavy_ball`, with σ' = σ. At constant
    γ the scale converges to 1/((1 − αγ)(β − γ)).

    If 1 − αγ rounds to 1, nothing decays. Then the rounding of thousands of products with numbers
    near 1 must not change w either, so momentum = 1 and σ' = σ = −A/lr.

    Args:
        step: The `Coefficients` of the step, as Python floats.
        scale: σ ≠ 0. The buffer holds σ w. Use 1.0 for a new buffer.
        fresh: Whether the buffer is known to be zero, as on a parameter's first step. The scale
            is then free, and every step has a call.
        dtype: The dtype in which the kernel computes. The kernel rounds `momentum` to it, and the
            new scale is the one after the product with the rounded `momentum`. Otherwise the scale
            would drift away from the buffer a little at each step.

    Returns:
        The call, or None if no single call exists or it would lose digits. This is so if γ = 0, if
        |1 − αγ| < `SMALLEST_DECAY`, or if γ changes slowly while nothing decays. Make such a step
        with `coefficients`, on w = buffer/σ.

    Examples:
        >>> call = as_nesterov_sgd(coefficients(lr=0.1, alpha=0.5, beta=0.1), scale=1.0)
        >>> call.nesterov, call.factor, call.scale
        (False, 1.0, 1.0)
    """
    step = Coefficients(*map(float, step))
    a, b, c, d = step
    if fresh:
        # w = 0, so only θ += B v and w = D v remain. A scale of D's sign keeps 1 + σ' D ≥ 1.
        scale = math.copysign(1.0, d)
        return NesterovSGD(
            lr=-b / (1 + scale * d),
            momentum=1.0,
            dampening=1 - scale * d,
            nesterov=True,
            factor=1.0,
            scale=scale,
        )
    if a == 0 or abs(c) < SMALLEST_DECAY:
        return None
    lr = -b + a * d / c
    # lr is a difference of two numbers near γβ. When γ = β, rounding leaves noise instead of a step
    # size, and the scale would follow it to infinity.
    if abs(lr) <= ROUNDING * abs(b):
        return heavy_ball(step, scale)
    if float(np.asarray(c, dtype)) == 1:
        return _without_decay(-a / lr, lr, d, scale, float(np.finfo(dtype).eps))
    factor = 1.0 if (lr < 0) == (scale < 0) else -1.0
    scale *= factor
    exact_scale = math.copysign(math.sqrt(-a * scale / lr) / abs(c), lr)
    momentum = float(np.asarray(c * exact_scale / scale, dtype))
    new_scale = momentum * scale / c
    return NesterovSGD(
        lr=lr,
        momentum=momentum,
        dampening=1 - new_scale * d,
        nesterov=True,
        factor=factor,
        scale=new_scale,
    )


def _without_decay(
    target: float, lr: float, d: float, scale: float, eps: float
) -> NesterovSGD | None:
    """Return the call with momentum 1, at the only scale that allows it, or None.

    A scale that is far off is set at once. For a scale that is close the result is None, however
    often γ changes, because each setting would round the buffer.
    """
    factor = target / scale
    if abs(factor - 1) <= 4 * eps:
        factor = 1.0
    elif abs(factor - 1) < _FAR:
        return None
    scale *= factor
    return NesterovSGD(
        lr=lr, momentum=1.0, dampening=1 - scale * d, nesterov=True, factor=factor, scale=scale
    )
