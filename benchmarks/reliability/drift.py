"""A million steps: does rounding build up in any implementation?

INDIAN minimizes a quadratic with eight curvatures, whose minimum wanders. Meanwhile γ swings from
1e-8 across β to beyond 1/α in a thousand steps, and back in another thousand. The same steps in
NumPy's longdouble (80 bits if the machine has them) are the reference. Errors of θ are relative to
the largest θ so far.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tqdm import tqdm

ALPHA, BETA = 0.5, 0.1
HYPERPARAMETERS = {"alpha": ALPHA, "beta": BETA, "initial_speed": BETA}
CURVATURE = np.geomspace(0.01, 0.2, 8)
START = np.linspace(-1.0, 1.0, 8)
LOWEST, HIGHEST, SWING = 1e-8, 2.05, 1000
# The largest factor by which an error may exceed its largest value in the first hundredth.
GROWTH = 8.0


def rates(first: int, last: int) -> np.ndarray:
    """Return γ_k for the steps k = first, …, last − 1."""
    phase = np.arange(first, last) % (2 * SWING) / SWING
    height = np.minimum(phase, 2 - phase)
    lrs = LOWEST * (HIGHEST / LOWEST) ** height
    # Once in each swing, αγ is exactly 1.
    lrs[np.arange(first, last) % (2 * SWING) == SWING] = 1 / ALPHA
    return lrs


def targets(first: int, last: int) -> np.ndarray:
    """Return the minimum at the steps k = first, …, last − 1."""
    return np.sin(np.arange(first, last) * 1e-3)


def gradient(_xp: Any, theta: Any, target: Any, curvature: Any) -> Any:
    """Return the gradient of the quadratic with its minimum at the target."""
    return curvature * (theta - target)


class Reference:
    """The same run in NumPy's widest float."""

    def __init__(self) -> None:
        self._theta = START.astype(np.longdouble)
        self._w = np.zeros_like(self._theta)

    def go_on(self, lrs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Make a step for each rate, and return θ."""
        wide = np.longdouble
        alpha, beta, curvature = wide(ALPHA), wide(BETA), CURVATURE.astype(wide)
        for lr, target in zip(lrs.astype(wide), targets.astype(wide), strict=True):
            v = curvature * (self._theta - target)
            self._theta = self._theta - lr * (self._w + beta * v)
            self._w = (1 - alpha * lr) * self._w + lr * (1 - alpha * beta) * v
        return self._theta.copy()


def measure(adapter: Any, options: Any) -> tuple[dict[str, Any], bool]:
    """Run an adapter's implementations beside the reference, and print the table.

    Returns:
        The figures for the file, and whether any implementation drifts.
    """
    steps = options.steps
    runs = {
        f"{name}, {dtype}": start(START, gradient, HYPERPARAMETERS, dtype)
        for dtype in ("float64", "float32")
        for name, start in adapter.variants().items()
    }
    marks = sorted({steps // 100, steps // 10, steps // 2, steps})
    errors: dict[str, dict[int, float]] = {name: dict.fromkeys(marks, 0.0) for name in runs}
    reference, size = Reference(), 0.0
    part = max(steps // 100 - 17, 1)
    # (Parts of another length than the swing, so that each ends at another γ.)
    for first in tqdm(range(0, steps, part), disable=None):
        last = min(first + part, steps)
        given = rates(first, last), targets(first, last)
        curvatures = np.broadcast_to(CURVATURE, (last - first, len(CURVATURE)))
        expected = reference.go_on(*given)
        size = max(size, float(np.abs(expected).max()))
        mark = next(m for m in marks if last <= m)
        for name, run in runs.items():
            error = float(np.abs(run.go_on(*given, curvatures) - expected).max()) / size
            errors[name][mark] = max(errors[name][mark], error)
    failed = []
    print(f"{'largest error of θ up to step':32}" + "".join(f"{m:>12,}" for m in marks))
    for name, row in errors.items():
        print(f"{name:32}" + "".join(f"{row[m]:12.1e}" for m in marks))
        unit = float(np.finfo(name.split(", ")[-1]).eps)
        if not max(row.values()) <= GROWTH * max(row[marks[0]], 16 * unit):
            failed.append(name)
    print("no drift" if not failed else f"DRIFT: {failed}")
    figures = {
        "steps": steps,
        "errors": {name: {str(m): e for m, e in row.items()} for name, row in errors.items()},
        "drifting": failed,
    }
    return figures, bool(failed)
