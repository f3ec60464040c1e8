"""Results as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from .log import Result


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return lines of aligned columns: the first to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def results(all_results: Sequence[Result]) -> str:
    """Return a row per optimizer and framework: its step size, last loss and accuracy, and time."""
    header = (
        "optimizer",
        "framework",
        "step size",
        "others",
        "training loss",
        "test accuracy, %",
        "training",
    )
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in all_results:
        groups.setdefault((result.run.optimizer, result.run.framework), []).append(result)
    order = list(dict.fromkeys(optimizer for optimizer, _ in groups))
    rows = []
    for (optimizer, framework), seeds in sorted(groups.items(), key=lambda g: order.index(g[0][0])):
        run, ends = seeds[0].run, [result.records[-1] for result in seeds]
        rows.append(
            (
                optimizer,
                framework,
                step_size(run.lr, run.power),
                others(run.hyperparameters),
                _over_seeds([end.train_loss for end in ends], ".6f"),
                _over_seeds([100 * end.test_accuracy for end in ends], ".2f"),
                f"{sum(end.seconds for end in ends):.1f} s",
            )
        )
    return table(header, rows)


def _over_seeds(values: Sequence[float], digits: str) -> str:
    """Return the number of the one seed, or the mean of several and their range."""
    text = format(sum(values) / len(values), digits)
    if len(values) == 1:
        return text
    return f"{text} ({min(values):{digits}}-{max(values):{digits}})"


def agreement(all_results: Sequence[Result], optimizer: str) -> str:
    """Return a row per pair of frameworks: how far this optimizer's loss curves are apart."""
    chosen = [result for result in all_results if result.run.optimizer == optimizer]
    runs = [result for result in chosen if result.run.seed == chosen[0].run.seed]
    rows = []
    for one, other in combinations(runs, 2):
        differences = [
            abs(a.train_loss - b.train_loss)
            for a, b in zip(one.records, other.records, strict=True)
        ]
        rows.append(
            (
                f"{one.run.framework} - {other.run.framework}",
                f"{differences[1]:.1e}",
                f"{max(differences):.1e}",
            )
        )
    header = (f"{optimizer}: difference of the training losses", "after 1 epoch", "largest")
    return table(header, rows)


def step_sizes(found: dict[str, Any]) -> str:
    """Return a row per optimizer: the best point of its grid, as `grid.as_dict` gives it."""
    rows = [
        (
            optimizer,
            step_size(entry["lr"], entry["power"]),
            others(entry["hyperparameters"]),
            f"{entry['loss']:.4g}",
        )
        for optimizer, entry in found.items()
    ]
    return table(("optimizer", "step size", "others", "training loss"), rows)


def others(hyperparameters: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in hyperparameters.items())


def step_size(lr: float, power: float) -> str:
    return f"{lr:g}" if power == 0 else f"{lr:g} (k+1)^-{power:g}"
