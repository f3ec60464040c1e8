"""The vectors that an eigensolver works on."""

from __future__ import annotations

import numpy as np

from indian_core.tuning.vectors import join, split


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
    for found, array in zip(split(vector, arrays), arrays, strict=True):
        np.testing.assert_array_equal(found, array)
    assert join([]).size == 0
    assert split(np.empty(0), []) == []
