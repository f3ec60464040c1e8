"""What does not fit one of several parameters is refused before any of them has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_numpy import INDIAN, INNAprop

METHODS = pytest.mark.parametrize("method", [INDIAN, INNAprop])
MISFITS = {
    "another shape": [np.ones(2), np.ones(2)],
    "complex": [np.ones(2), np.ones(3) * 1j],
    "too few": [np.ones(2)],
}


def begun(method: Any) -> Any:
    optimizer = method([np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])])
    optimizer.step([np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.5])])
    return optimizer


@pytest.mark.parametrize("call", ["step", "set_psi"])
@pytest.mark.parametrize("misfit", MISFITS)
@METHODS
def test_a_misfit_changes_nothing(method: Any, misfit: str, call: str) -> None:
    optimizer, alike = begun(method), begun(method)
    with pytest.raises(ValueError, match=r"Invalid (gradient|psi): "):
        getattr(optimizer, call)(MISFITS[misfit])
    for array, other in zip(
        [*optimizer.params, *optimizer.momentums], [*alike.params, *alike.momentums], strict=True
    ):
        np.testing.assert_array_equal(array, other)
