"""Summaries of the cells: means over seeds and draws, and their standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Cell = Mapping[str, Any]


class Estimate(NamedTuple):
    """A mean over runs (seeds and draws) and its standard error; NaN if a run diverged."""

    mean: float
    error: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Estimate:
        """Return the estimate of some runs' numbers."""
        error = np.std(numbers, ddof=1) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.nan
        return cls(float(np.mean(numbers)), float(error))

    def text(self, digits: str = ".3f") -> str:
        """Return the mean and the error as text."""
        if not math.isfinite(self.mean):
            return "diverged"
        return f"{self.mean:{digits}} ± {self.error:{digits}}"


def cell_of(content: Mapping[str, Any], method: str, schedule: str) -> Cell | None:
    """Return the cell of this method and schedule, or None if the file has none."""
    for cell in content["cells"]:
        if (cell["method"], cell["schedule"]) == (method, schedule):
            return cell  # type: ignore[no-any-return]
    return None


def records(cell: Cell, budget: int) -> list[dict[str, Any]]:
    """Return the runs of the winners of all draws of `budget` trials."""
    chosen = cell["winners"].get(str(budget), [])
    return [record for index in chosen for record in cell["runs"][str(index)]]


def largest_budget(cell: Cell) -> int:
    """Return the number of trials in the cell."""
    return max(map(int, cell["winners"]))


def estimate(cell: Cell, budget: int, name: str) -> Estimate:
    """Return the estimate of one quantity of the winners' runs, e.g. "train loss"."""
    return Estimate.of([math.nan if r[name] is None else r[name] for r in records(cell, budget)])


def swept(content: Mapping[str, Any], schedule: str) -> dict[str, dict[float, Estimate]]:
    """Return the training loss at each momentum of the sweep, for each method that was swept."""
    found: dict[str, dict[float, Estimate]] = {}
    for cell in content["cells"]:
        method, _, momentum = cell["method"].rpartition(", m ")
        if method and momentum.replace(".", "").isdecimal() and cell["schedule"] == schedule:
            loss = estimate(cell, largest_budget(cell), "train loss")
            found.setdefault(method, {})[float(momentum)] = loss
    return found


def target(content: Mapping[str, Any], schedule: str, baselines: Sequence[str]) -> float:
    """Return the loss that every baseline reaches: the worst of the last points of their curves."""
    ends = []
    for method in baselines:
        cell = cell_of(content, method, schedule)
        if cell is not None:
            ends.append(np.mean([r["curve"][-1] for r in records(cell, largest_budget(cell))]))
    return float(max(ends, default=math.nan))


def time_to(cell: Cell, loss: float) -> float:
    """Return the fraction of a run after which the winners' mean curve has reached a loss.

    The result is NaN if the curve does not reach it. With a learning rate that decays to 0, every
    method comes down late.
    """
    curves = np.array([r["curve"] for r in records(cell, largest_budget(cell))], float)
    reached = np.flatnonzero(curves.mean(axis=0) <= loss)
    return float(reached[0] + 1) / curves.shape[1] if len(reached) else math.nan


def useful(cell: Cell, factor: float = 1.1) -> float:
    """Return the fraction of the trials whose loss is within a factor of the best trial's."""
    losses = np.array([math.inf if loss is None else loss for loss in cell["losses"]])
    return float(np.mean(losses <= factor * losses.min()))
