"""The one comparison of the suite: it raises by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from indian_core import METHODS
from indian_core.testing import Arrays, Driver
from tests.conformance.trajectories import Checkpoint, Trajectory

FLOAT64 = 1e-12
UNIT_ROUNDOFF_32 = 2.0**-24


def relative_error(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the largest deviation over the largest expected magnitude, over all arrays.

    Where everything that is expected is zero, the deviation itself.
    """
    assert [a.shape for a in actual] == [e.shape for e in expected]
    assert all(np.isfinite(a).all() for a in actual), f"not finite: {actual}"
    deviation = max(float(np.max(np.abs(a - e))) for a, e in zip(actual, expected, strict=True))
    return deviation / (max(float(np.max(np.abs(e))) for e in expected) or 1.0)


def hidden(run: Driver, method: str) -> Arrays:
    """Return what a run holds beside θ: ψ under the paper's law, else the momentum buffer."""
    return run.psi() if METHODS[method].law == "paper" else run.momentum()


def assert_at(
    run: Driver,
    trajectory: Trajectory,
    checkpoint: Checkpoint,
    tolerance: float,
    record: Callable[[str, float], None] = lambda *_: None,
) -> None:
    """Assert that θ and ψ, or the momentum buffer, are the checkpoint's; record how far off."""
    pairs = [("theta", run.theta(), checkpoint.theta)]
    if checkpoint.hidden is not None:
        pairs.append(("hidden", hidden(run, trajectory.method), checkpoint.hidden))
    for what, actual, expected in pairs:
        error = relative_error(actual, expected)
        record(what, error)
        assert error <= tolerance, f"{what} at step {checkpoint.step}: {error:.2e}"


def assert_same_bits(actual: Arrays, expected: Arrays) -> None:
    """Assert equality, bit for bit."""
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e, strict=True)
