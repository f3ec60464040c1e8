r"""One step of a law as one call of SGD with dampening, for a fused SGD kernel.

SGD with dampening has three scalars, and the linear step has four. The scale of the buffer is the
fourth: the kernel's buffer holds scale · s. The paper's law needs a scale that moves with γ
(`as_nesterov_sgd`). The momentum law has a constant one (`constant_scale`, `constant_call`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from indian_core.linear_step import Coefficients

SMALLEST_DECAY = 2.0**-4
"""The smallest |C| of a step that is made by a call. The division by C costs at most
log2(1/SMALLEST_DECAY) bits of the gradient's part of θ's update."""
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

    The call omits `left_out` times v from θ's update, which is nothing at γ = β.

    Args:
        step: The `Coefficients` of the step, as Python floats, with C ≠ 0.
        scale: σ ≠ 0. The buffer holds σ w, before the step and after it.

    Returns:
        The call, with ``nesterov=False``.

    Examples:
        >>> from indian_core import coefficients
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


def left_out(step: Coefficients) -> float:
    r"""Return B − A D/C, the multiple of v by which θ moves if it is written from the new w.

    With w_k = (w_{k+1} − D v)/C the step is θ ← θ + (A/C) w_{k+1} + (B − A D/C) v.

    Args:
        step: The `Coefficients` of the step, with C ≠ 0.

    Examples:
        >>> left_out(Coefficients(-0.5, -0.5, 0.5, 0.25))
        -0.25
    """
    a, b, c, d = map(float, step)
    return b - a * d / c


def as_nesterov_sgd(
    step: Coefficients, scale: float, fresh: bool = False, *, dtype: npt.DTypeLike = np.float64
) -> NesterovSGD | None:
    r"""Return the step as one SGD call on a buffer that holds ``scale`` times w.

    With A, B, C, D the four of `coefficients`, σ the scale before and σ' after the step, the call
    has

        lr = −B + A D/C,   momentum = C σ'/σ,   dampening = 1 − σ' D,   σ'² = −A σ/(lr C²)

    There are three cases:

    * lr ≠ 0: σ' has the sign of lr. When γ crosses β, lr changes its sign and the buffer is negated
      once. At constant γ the scale converges to 1/((1 − αγ)(β − γ)).
    * lr = 0, which is γ = β: the call is that of `heavy_ball`, with σ' = σ.
    * 1 − αγ rounds to 1, so that nothing decays: momentum = 1 and σ' = σ = −A/lr. Otherwise
      thousands of products with numbers near 1 would change w by their rounding.

    Args:
        step: The `Coefficients` of the step, as Python floats.
        scale: σ ≠ 0. The buffer holds σ w. Use 1.0 for a new buffer.
        fresh: Whether the buffer is known to be zero, as on a parameter's first step. The scale
            is then free, and every step has a call.
        dtype: The dtype in which the kernel computes. The kernel rounds `momentum` to it, and
            the new scale follows the rounded number, or it would drift away from the buffer.

    Returns:
        The call, or None if no single call exists or it would lose digits. This is so if γ = 0, if
        |1 − αγ| < `SMALLEST_DECAY`, or if γ changes slowly while nothing decays. Make such a step
        with `coefficients`, on w = buffer/σ.

    Examples:
        >>> from indian_core import coefficients
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
    lr = -left_out(step)
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


# Outside of this range the constant scale would cost digits, or leave a float32's range.
_SCALES = (2.0**-20, 2.0**20)


def constant_scale(step: Coefficients) -> float:
    r"""Return the scale at which every step of the momentum law is one call, whatever its lr.

    With A, B, C, D the four scalars, it is −A/(q C²) with q = −B + A D/C. It does not depend on
    lr. It is 1 where any scale serves: for SGD's own momentum, heavy ball or Nesterov's.

    Args:
        step: The `Coefficients` at any lr > 0, as Python floats.

    Returns:
        The scale. If there is no such scale it is 1, and `constant_call` returns None.

    Examples:
        >>> from indian_core.momentum_law import sgd_coefficients
        >>> round(constant_scale(sgd_coefficients(0.1, 0.9, damping=0.3)), 4)
        0.3889
        >>> constant_scale(sgd_coefficients(0.1, 0.9, nesterov=True))
        1.0
    """
    a, b, c, _ = map(float, step)
    lr = -left_out(step) if c else 0.0
    if abs(lr) <= ROUNDING * abs(b):
        return 1.0
    scale = -a / (lr * c * c)
    if abs(scale - 1) <= ROUNDING or not _SCALES[0] <= scale <= _SCALES[1]:
        return 1.0
    return scale


def constant_call(step: Coefficients, scale: float) -> NesterovSGD | None:
    """Return the step as one SGD call on a buffer that holds ``scale`` times s, before and after.

    Args:
        step: The `Coefficients` of the step, as Python floats. lr may be 0.
        scale: The `constant_scale` of the same momentum and damping.

    Returns:
        The call, or None if no single call makes this step on this buffer (no momentum, or d = 1).

    Examples:
        >>> from indian_core.momentum_law import sgd_coefficients
        >>> call = constant_call(sgd_coefficients(0.5, 0.75, nesterov=True), 1.0)
        >>> call.lr, call.momentum, call.dampening, call.nesterov
        (0.5, 0.75, 0.0, True)
    """
    step = Coefficients(*map(float, step))
    a, b, c, d = step
    if c == 0:
        return None
    lr = -left_out(step)
    if abs(lr) <= ROUNDING * abs(b):
        return heavy_ball(step, scale)
    # Another scale than that of this momentum and damping.
    if abs(lr * c * c * scale + a) > 2**-40 * abs(a):
        return None
    return NesterovSGD(
        lr=lr, momentum=c, dampening=1 - scale * d, nesterov=True, factor=1.0, scale=scale
    )
