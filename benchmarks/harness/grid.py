"""Step sizes by grid search on the training loss, as in the paper's section 5.2.1.

Every optimizer gets the same grid of initial step sizes γ_0 and decays q of γ_0 (k + 1)^(−q), and
the same number of choices of its other hyperparameters. It is given the point where the training
loss after the last epoch, averaged over the seeds, is smallest.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .files import rounded
from .log import Result
from .runs import Run

_DIGITS = 4  # of a loss in a file


class Point(NamedTuple):
    """A point of the grid."""

    lr: float
    power: float
    choice: tuple[tuple[str, float], ...]  # the other hyperparameters

    @classmethod
    def of(cls, run: Run) -> Point:
        return cls(run.lr, run.power, tuple(run.hyperparameters.items()))

    def as_dict(self) -> dict[str, Any]:
        """Return the point as JSON holds it, and as the fields of a `Run`."""
        return {"lr": self.lr, "power": self.power, "hyperparameters": dict(self.choice)}


def points(
    lrs: Sequence[float], powers: Sequence[float], choices: Sequence[Mapping[str, float]]
) -> list[Point]:
    return [
        Point(lr, power, tuple(choice.items()))
        for choice, lr, power in itertools.product(choices, lrs, powers)
    ]


def with_seeds(run: Run, seeds: Iterable[int]) -> list[Run]:
    """Return the run with each of these seeds."""
    return [dataclasses.replace(run, seed=seed) for seed in seeds]


def losses(results: Iterable[Result]) -> dict[str, dict[Point, float]]:
    """Return each optimizer's mean final training loss at each point; NaN where one diverged."""
    finals: dict[str, dict[Point, list[float]]] = {}
    for result in results:
        final = result.records[-1].train_loss
        table = finals.setdefault(result.run.optimizer, {})
        table.setdefault(Point.of(result.run), []).append(final)
    return {
        optimizer: {point: sum(values) / len(values) for point, values in table.items()}
        for optimizer, table in finals.items()
    }


def best(table: dict[Point, float]) -> Point:
    """Return the point of the smallest loss.

    Raises:
        ValueError: If the loss is NaN or infinite at all points.
    """
    finite = {point: loss for point, loss in table.items() if math.isfinite(loss)}
    if not finite:
        raise ValueError(f"all runs of the grid diverged: {list(table)}")
    return min(finite, key=finite.__getitem__)


def as_dict(table: dict[Point, float]) -> dict[str, Any]:
    """Return an optimizer's grid as JSON holds it."""
    found, losses = best(table), rounded(list(table.values()), _DIGITS)
    rows = zip(table, losses, strict=True)
    return found.as_dict() | {
        "loss": rounded(table[found], _DIGITS),
        "columns": [*dict(found.choice), "lr", "power", "loss"],
        "grid": [[*dict(p.choice).values(), p.lr, p.power, loss] for p, loss in rows],
    }
