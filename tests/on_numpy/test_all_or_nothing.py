"""Arrays that only NumPy's users can hand in. (Other shapes: tests/conformance.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_core.testing import Settings
from tests.conformance.compare import assert_same_bits, hidden
from tests.conformance.numpy_driver import NumpyDriver

THETA = [np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])]
CALLS = [(method, "step") for method in NumpyDriver.methods]
CALLS += [(method, "set_psi") for method in ("INDIAN", "INNAprop")]


@pytest.mark.parametrize(("method", "call"), CALLS)
@pytest.mark.parametrize("misfit", [[np.ones(2), np.ones(3) * 1j], [np.ones(2)]])
def test_a_misfit_changes_nothing(method: str, misfit: Any, call: str) -> None:
    run = NumpyDriver(THETA, Settings([0.1] * 2, {}, method), "in place", "float64")
    run.step(THETA)
    before = [*run.theta(), *hidden(run, method)]
    with pytest.raises(ValueError, match=r"Invalid (gradient|psi)"):
        getattr(run.optimizer, call)(misfit)
    assert_same_bits([*run.theta(), *hidden(run, method)], before)
