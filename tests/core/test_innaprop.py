"""INNAprop's published recursion: golden values. (Its identities with Adam: tests/on_torch.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_core.testing import ReferenceINNAprop

CURVATURE = np.array([1.0, 4.0])

# J = (x² + 4y²)/2, θ₀ = (1, −2), ε = .1, worked out by hand from the paper's recursion:
# settings, γ_k, and by step θ, ψ and (where known) V.
A = {"alpha": 0.1, "beta": 0.9, "sigma": 0.9, "eps": 0.1}
GOLDENS: dict[str, tuple[dict[str, Any], list[float], dict[int, list[list[float]]]]] = {
    "A": (
        A,
        [0.1] * 5,
        {
            1: [[0.9181818181818182, -1.911111111111111], [0.91, -1.82], [0.1, 6.4]],
            2: [
                [0.8317888144915127, -1.8151986008287067],
                [0.9017272727272727, -1.8110123456790124],
                [0.1743057851239669, 11.60375308641975],
            ],
            5: [
                [0.5556539251664584, -1.4909942880351956],
                [0.832095980481757, -1.7331264404970956],
                [0.2748075027791449, 21.07319979908302],
            ],
        },
    ),
    "D, the authors' decay": (
        A | {"weight_decay": 0.5, "authors_weight_decay": True},
        [0.1] * 5,
        {
            1: [
                [0.8631262626262626, -1.8009999999999997],
                [0.9049444444444444, -1.8098888888888889],
                [0.1, 6.4],
            ],
            5: [
                [0.34543880587517906, -0.9945521447176735],
                [0.773796314673524, -1.6064331984942561],
                [0.21615362098169344, 16.373705677523102],
            ],
        },
    ),
    "D, pure decay": (
        A | {"weight_decay": 0.5},
        [0.1] * 5,
        {
            1: [[0.8681818181818182, -1.811111111111111]],
            5: [[0.39596178467543625, -1.1088638141641691]],
        },
    ),
    "C, gamma across beta": (
        {"alpha": 0.5, "beta": 0.1001, "sigma": 0.99, "eps": 1e-8},
        [0.1, 0.2, 0.05, 0.1, 0.4],
        {
            1: [[0.9899900001001, -1.9899900000125126], [0.94995, -1.8999], [0.01, 0.64]],
            5: [
                [0.698223805595418, -1.6952652120834695],
                [0.7300409789883817, -1.678678469934348],
                [0.04453676597534877, 2.9900975197869917],
            ],
        },
    ),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens(name: str) -> None:
    settings, lrs, points = GOLDENS[name]
    optimizer = ReferenceINNAprop([np.array([1.0, -2.0])], **settings)
    tolerance = 1e-11 if name.startswith("C") else 1e-14
    for k, lr in enumerate(lrs, 1):
        optimizer.step([CURVATURE * optimizer.theta[0]], lr)
        assert optimizer.psi is not None
        found = optimizer.theta[0], optimizer.psi[0], optimizer.squares[0]
        for actual, expected in zip(found, points.get(k, []), strict=False):
            np.testing.assert_allclose(actual, expected, rtol=tolerance)
