"""The tables of the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from benchmarks.harness.log import Result
from benchmarks.harness.tables import mean, span, step_size, table


def results(all_results: Sequence[Result]) -> str:
    """Return a row per optimizer and framework: step size, last loss and accuracy, and time."""
    names = list(dict.fromkeys(result.run.optimizer for result in all_results))
    groups: dict[tuple[int, str], list[Result]] = {}
    for result in all_results:
        place = names.index(result.run.optimizer), result.run.framework
        groups.setdefault(place, []).append(result)
    rows = []
    for (_, framework), seeds in sorted(groups.items(), key=lambda group: group[0][0]):
        run, ends = seeds[0].run, [result.records[-1] for result in seeds]
        rows.append(
            {
                "optimizer": run.optimizer,
                "framework": framework,
                "step size": step_size(run.lr, run.power),
                "others": _others(run.hyperparameters),
                "training loss": _over_seeds([end.train_loss for end in ends], ".6f"),
                "test accuracy, %": _over_seeds([100 * end.test_accuracy for end in ends], ".2f"),
                "training": f"{sum(end.seconds for end in ends):.1f} s",
            }
        )
    return table(rows)


def _over_seeds(values: Sequence[float], digits: str) -> str:
    """Return one seed's number, or the mean and the range over several seeds."""
    text = mean(values, digits)
    return f"{text} ({span(values, digits)})" if len(values) > 1 else text


def agreement(all_results: Sequence[Result], optimizer: str) -> str:
    """Return a row per pair of frameworks: the difference of this optimizer's loss curves."""
    chosen = [result for result in all_results if result.run.optimizer == optimizer]
    runs = [result for result in chosen if result.run.seed == chosen[0].run.seed]
    rows = []
    for one, other in combinations(runs, 2):
        pairs = zip(one.records, other.records, strict=True)
        differences = [abs(a.train_loss - b.train_loss) for a, b in pairs]
        rows.append(
            {
                f"{optimizer}: difference of the training losses": (
                    f"{one.run.framework} - {other.run.framework}"
                ),
                "after 1 epoch": f"{differences[1]:.1e}",
                "largest": f"{max(differences):.1e}",
            }
        )
    return table(rows)


def step_sizes(found: Mapping[str, Any]) -> str:
    """Return a row per optimizer: the best point of its grid."""
    return table(
        [
            {
                "optimizer": optimizer,
                "step size": step_size(entry["lr"], entry["power"]),
                "others": _others(entry["hyperparameters"]),
                "training loss": f"{entry['loss']:.4g}",
            }
            for optimizer, entry in found.items()
        ]
    )


def _others(hyperparameters: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in hyperparameters.items())
