r"""The paper's step sizes γ_k = γ_0 (k + 1)^(−q).

Assumption 1 of the paper requires Σ γ_k = ∞ and γ_k = o(1/log k), so its convergence proof covers
any 0 < q ≤ 1. Figures 2 and 3 use q = 1/2. In Figure 4 slower decays train faster, and q = 1/4
beats Adam.
"""

from __future__ import annotations

from typing import Any

POWER = 0.5
"""The q of the paper's Figures 2 and 3."""


def power_decay(k: Any, initial_lr: Any, power: Any = POWER) -> Any:
    r"""Return γ_k = γ_0 (k + 1)^(−q).

    This is plain arithmetic, so Python numbers, NumPy arrays and framework scalars, traced or not,
    all work.

    Args:
        k: The iteration, counted from 0, or an array of iterations.
        initial_lr: γ_0 ≥ 0, the step size of the first iteration.
        power: q ≥ 0, the power. With q = 0 the step size is constant.

    Returns:
        γ_k, of k's shape.

    Examples:
        >>> power_decay(3, initial_lr=0.5)
        0.25
    """
    return initial_lr * (k + 1.0) ** -power
