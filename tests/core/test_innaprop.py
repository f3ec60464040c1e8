"""INNAprop's published recursion: golden values. (Its identities with Adam: tests/on_torch.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_core.testing import ReferenceINNAprop

CURVATURE = np.array([1.0, 4.0])
A = {"alpha": 0.1, "beta": 0.9, "sigma": 0.9, "eps": 0.1}
DECAYED = A | {"weight_decay": 0.5}


# J = (x² + 4y²)/2, θ₀ = (1, −2), worked out by hand from the paper's recursion: settings, γ_k, and
# after five steps θ, ψ and V.
@pytest.mark.parametrize(
    ("settings", "lrs", "theta", "psi", "squares"),
    [
        (
            A,
            [0.1] * 5,
            [0.5556539251664584, -1.4909942880351956],
            [0.832095980481757, -1.7331264404970956],
            [0.2748075027791449, 21.07319979908302],
        ),
        (
            DECAYED,
            [0.1] * 5,
            [0.39596178467543625, -1.1088638141641691],
            None,
            None,
        ),
        (
            DECAYED | {"authors_weight_decay": True},
            [0.1] * 5,
            [0.34543880587517906, -0.9945521447176735],
            [0.773796314673524, -1.6064331984942561],
            [0.21615362098169344, 16.373705677523102],
        ),
        (  # γ across β
            {"alpha": 0.5, "beta": 0.1001, "sigma": 0.99, "eps": 1e-8},
            [0.1, 0.2, 0.05, 0.1, 0.4],
            [0.698223805595418, -1.6952652120834695],
            [0.7300409789883817, -1.678678469934348],
            [0.04453676597534877, 2.9900975197869917],
        ),
    ],
)
def test_goldens(
    settings: dict[str, Any], lrs: list[float], theta: Any, psi: Any, squares: Any
) -> None:
    optimizer = ReferenceINNAprop([np.array([1.0, -2.0])], **settings)
    for lr in lrs:
        optimizer.step([CURVATURE * optimizer.theta[0]], lr)
    assert optimizer.psi is not None
    np.testing.assert_allclose(optimizer.theta[0], theta, rtol=1e-11)
    if psi is not None:
        np.testing.assert_allclose(optimizer.psi[0], psi, rtol=1e-11)
        np.testing.assert_allclose(optimizer.squares[0], squares, rtol=1e-11)
