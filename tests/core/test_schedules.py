from __future__ import annotations

import numpy as np
import pytest

from indian_core import power_decay


def test_the_papers_steps() -> None:
    assert [power_decay(k, 0.5) for k in (0, 3, 8, 99)] == pytest.approx(
        [0.5, 0.25, 0.5 / 3, 0.05], rel=1e-15
    )
    assert power_decay(15, 1.0, 0.25) == 0.5


def test_power_zero_is_constant_and_arrays_are_welcome() -> None:
    k = np.arange(5)
    np.testing.assert_array_equal(power_decay(k, 0.3, 0), np.full(5, 0.3))
    np.testing.assert_allclose(power_decay(k, 2.0, 1), 2.0 / (k + 1), rtol=1e-15)
