"""What the runs say: each method's best, how much of the grid is near it, and differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.study import search
from benchmarks.study.record import SEARCHED, Record, Row

Run = Mapping[str, Any]


class Estimate(NamedTuple):
    """A mean over runs, its standard error, and their number; NaN if a run diverged."""

    mean: float
    error: float
    count: int

    @classmethod
    def of(cls, numbers: Iterable[float | None]) -> Estimate:
        """Return the estimate of some runs' numbers, None for those of diverged runs."""
        found = [math.nan if number is None else number for number in numbers]
        error = np.std(found, ddof=1) / math.sqrt(len(found)) if len(found) > 1 else math.nan
        return cls(float(np.mean(found)) if found else math.nan, float(error), len(found))

    def text(self, digits: str = ".3f") -> str:
        """Return the mean and the error as text."""
        if not math.isfinite(self.mean):
            return "diverged"
        if self.count == 1:
            return f"{self.mean:{digits}} (one run)"
        return f"{self.mean:{digits}} ± {self.error:{digits}}"


class Best(NamedTuple):
    """A row's best rate, and the runs at it: those from other seeds than the search's, if any."""

    row: Row
    rate: float
    searched: float  # the validation loss in the search
    runs: list[dict[str, Any]]

    def of(self, name: str) -> Estimate:
        """Return the estimate of one quantity of the runs, e.g. "test loss"."""
        return Estimate.of(run[name] for run in self.runs)


def best_rate(record: Record, row: Row) -> Best:
    """Return a row's best rate.

    Raises:
        ValueError: If it is the lowest or the highest that was tried.
    """
    losses = record.losses(row)
    if search.at_edge(losses):
        raise ValueError(f"at the edge: {row} at {search.rate(search.winner(losses))}")
    k = search.winner(losses)
    rate = search.rate(k)
    runs = record.reruns(row, rate) or [record.run(row, rate, SEARCHED)]
    return Best(row, rate, losses[k], runs)


def best(record: Record, steps: int, method: str) -> Best:
    """Return a method's best row and rate at a length."""
    found = [best_rate(record, row) for row in rows(record, steps, [method])]
    return min(found, key=lambda each: each.searched)


def rows(record: Record, steps: int, methods: Iterable[str]) -> list[Row]:
    """Return the searched rows of some methods at a length."""
    chosen = [row for row in record.rows(steps) if row.method in methods]
    return [row for row in chosen if row.schedule != "flat"]


def lengths(record: Record) -> list[int]:
    """Return the lengths at which something was searched."""
    return sorted({row.steps for row in record.rows() if row.schedule != "flat"})


def methods(record: Record, steps: int) -> list[str]:
    """Return the methods that were searched at a length, the best first."""
    names = {row.method for row in record.rows(steps) if row.schedule != "flat"}
    return sorted(names, key=lambda name: best(record, steps, name).searched)


def grid(
    record: Record, steps: int, names: Sequence[str]
) -> dict[str, dict[tuple[float, int], float]]:
    """Return, for each method, the losses by momentum and place of the rate.

    The grid is the largest that all the methods have: their common momenta, and the octaves that
    were tried in every one of these rows.
    """
    found = {row: record.losses(row) for row in rows(record, steps, names)}
    momenta = set.intersection(
        *({row.momentum for row in found if row.method == name} for name in names)
    )
    common = [row for row in found if row.momentum in momenta]
    if not common:
        return {name: {} for name in names}
    places = set.intersection(*(set(found[row]) for row in common))
    octaves = sorted(k for k in places if k % search.OCTAVE == 0)
    return {
        name: {
            (row.momentum, k): found[row][k]
            for row in common
            if row.method == name
            for k in octaves
        }
        for name in names
    }


def share(losses: Iterable[float], target: float, percent: float) -> float:
    """Return the share of the losses that are within some percent of a loss."""
    return float(np.mean([loss <= target * (1 + percent / 100) for loss in losses]))


def difference(ours: Sequence[Run], theirs: Sequence[Run], name: str) -> Estimate:
    """Return the mean difference of two methods' runs from the same seeds."""
    other = {run["seed"]: run[name] for run in theirs}
    pairs = [(run[name], other[run["seed"]]) for run in ours if run["seed"] in other]
    return Estimate.of(None if None in pair else pair[0] - pair[1] for pair in pairs)


def verdict(found: Estimate) -> str:
    """Return what a difference of losses is, by twice its standard error."""
    if math.isnan(found.mean) or abs(found.mean) <= 2 * found.error:
        return "indistinguishable"
    return "clearly better" if found.mean < 0 else "clearly worse"
