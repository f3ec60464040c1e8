r"""The RMS scaling of INNAprop: V, its bias correction, and the scaled gradient u.

INNAprop (Bolte, Boustany, Pauwels, Purica, arXiv:2410.05871) is INDIAN's step on

$$V_t = \sigma V_{t-1} + (1 - \sigma)\, v_t^2, \qquad
  u_t = \frac{v_t}{\sqrt{V_t/(1 - \sigma^t)} + \varepsilon}, \qquad t = 1, 2, \dots$$

instead of the gradient v_t, from rest. ε is added outside the root, after the bias correction, as
in PyTorch's Adam. All of it is plain arithmetic, so it works on floats, NumPy arrays and the
frameworks' scalars and tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def second_moment(squares: Any, v: Any, sigma: Any) -> Any:
    """Return V_t = σ V_{t−1} + (1 − σ) v².

    Args:
        squares: V_{t−1}, zero before the first step.
        v: v_t, the gradient. For a complex gradient pass |v_t|, or its two real parts.
        sigma: σ, 0 ≤ σ < 1, the decay of V.

    Returns:
        V_t, of v's shape.

    Examples:
        >>> second_moment(0.0, 2.0, sigma=0.75)
        1.0
    """
    return sigma * squares + (1 - sigma) * v**2


def bias_correction(sigma: Any, t: Any, expm1: Callable[[Any], Any] | None = None) -> Any:
    """Return 1 − σ^t, by which V_t is divided.

    Args:
        sigma: σ, 0 ≤ σ < 1, the decay of V.
        t: The number of gradients that V holds, which is 1 in the first step.
        expm1: The framework's e^x − 1, for a t in float32, where 1 − σ^t would lose digits. σ must
            then be a Python float. None, the default, means 1 − σ^t.

    Examples:
        >>> bias_correction(sigma=0.5, t=2)
        0.75
    """
    if expm1 is None:
        return 1 - sigma**t
    return -expm1(t * (math.log(sigma) if sigma else -math.inf))


def scaled_gradient(v: Any, squares: Any, correction: Any, eps: Any) -> Any:
    """Return u_t = v_t/(√(V_t/correction) + ε).

    Args:
        v: v_t, the gradient.
        squares: V_t, which includes v_t.
        correction: The `bias_correction`, or 1 for none.
        eps: ε ≥ 0.

    Returns:
        u_t, of v's shape.

    Examples:
        >>> scaled_gradient(3.0, 2.0, correction=0.5, eps=1.0)
        1.0
    """
    return v / ((squares / correction) ** 0.5 + eps)
