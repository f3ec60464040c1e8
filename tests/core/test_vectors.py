"""The vectors that an eigensolver works on."""

from __future__ import annotations

import numpy as np
import pytest

from indian_core.tuning import join, split


def test_a_vector_holds_every_number_of_its_arrays() -> None:
    random = np.random.default_rng(0)
    arrays = [
        random.standard_normal(()),
        np.zeros((0, 3)),
        random.standard_normal((2, 3)) + 1j * random.standard_normal((2, 3)),
        random.standard_normal(4),
    ]
    vector = join(arrays)
    assert vector.dtype == np.float64
    shapes = list(map(np.shape, arrays))
    are_complex = list(map(np.iscomplexobj, arrays))
    for found, array in zip(split(vector, shapes, are_complex), arrays, strict=True):
        np.testing.assert_array_equal(found, array)
    assert join([]).size == 0
    assert split(np.empty(0), []) == []


@pytest.mark.parametrize("size", [3, 5])
def test_a_vector_that_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="Invalid vector"):
        split(np.zeros(size), [(2, 2)])
