"""What does not fit one of several parameters is refused before any of them has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_numpy import INDIAN, DampedAdamW, DampedSGD, INNAprop

MISFITS = {
    "another shape": [np.ones(2), np.ones(2)],
    "complex": [np.ones(2), np.ones(3) * 1j],
    "too few": [np.ones(2)],
}


def begun(method: Any) -> Any:
    optimizer = method([np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])])
    optimizer.step([np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.5])])
    return optimizer


CALLS = [
    *((method, "step") for method in (INDIAN, INNAprop, DampedSGD, DampedAdamW)),
    *((method, "set_psi") for method in (INDIAN, INNAprop)),
]


@pytest.mark.parametrize(("method", "call"), CALLS)
@pytest.mark.parametrize("misfit", MISFITS)
def test_a_misfit_changes_nothing(method: Any, misfit: str, call: str) -> None:
    optimizer, alike = begun(method), begun(method)
    with pytest.raises(ValueError, match=r"Invalid (gradient|psi): "):
        getattr(optimizer, call)(MISFITS[misfit])
    for array, other in zip(
        [*optimizer.params, *optimizer.momentums], [*alike.params, *alike.momentums], strict=True
    ):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("method", [DampedSGD, DampedAdamW])
def test_a_damping_that_no_longer_fits_changes_nothing(method: Any) -> None:
    optimizer, alike = begun(method), begun(method)
    optimizer.damping = 0.05
    with pytest.raises(ValueError, match="damping"):
        optimizer.step([np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.5])])
    for array, other in zip(optimizer.params, alike.params, strict=True):
        np.testing.assert_array_equal(array, other)
