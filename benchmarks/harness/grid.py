"""Step sizes by grid search on the training loss, as in the paper's section 5.2.1.

Every optimizer gets a grid of equally many initial step sizes γ_0. The step size chosen is the one
with the smallest training loss after the last epoch, averaged over the seeds. For each optimizer, a
study's settings hold a rule, its other hyperparameters, the power q of the decay
γ_0 (k + 1)^(−q), and the grid.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from .log import Result
from .runs import Run


def run(name: str, settings: Mapping[str, Any], **fields: Any) -> Run:
    """Return a run with the optimizer's settings; `fields` are the run's remaining fields."""
    shared = {field: settings[field] for field in ("rule", "hyperparameters", "power")}
    return Run(optimizer=name, **shared, **fields)


def with_seeds(run: Run, seeds: Iterable[int]) -> list[Run]:
    """Return one copy of the run for each of these seeds."""
    return [dataclasses.replace(run, seed=seed) for seed in seeds]


def losses(results: Iterable[Result]) -> dict[str, dict[float, float]]:
    """Return each optimizer's mean final training loss by step size; NaN if a run diverged."""
    finals: dict[str, dict[float, list[float]]] = {}
    for result in results:
        table = finals.setdefault(result.run.optimizer, {})
        table.setdefault(result.run.lr, []).append(result.records[-1].train_loss)
    return {
        optimizer: {lr: sum(values) / len(values) for lr, values in table.items()}
        for optimizer, table in finals.items()
    }


def best(table: Mapping[float, float]) -> float:
    """Return the step size with the smallest loss.

    Raises:
        ValueError: If the loss is NaN or infinite at every step size.
    """
    finite = {lr: loss for lr, loss in table.items() if math.isfinite(loss)}
    if not finite:
        raise ValueError(f"all runs of the grid diverged: {list(table)}")
    return min(finite, key=finite.__getitem__)
