"""The tables of the study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness.tables import table
from benchmarks.study import summary

BASELINES = ("SGD-Nesterov", "AdamW")
COLUMNS = (
    "averaged",
    "test loss",
    "test, %",
    "reaches it",
    "of trials within 10 %",
)


# Of the first table that a stranger sees: one number tuned each, the learning rate.
SHOWN = (
    "SGD-Nesterov",
    "INDIAN (.1, 2)",
    "INDIAN, m .97, d .3",
    "INDIAN, the paper's (.5, .1)",
    "AdamW",
    "NAdamW",
    "INNAprop, d .3",
    "INNAprop, its paper's (.1, .9)",
    "Lion",
    "schedule-free AdamW",
    "Muon",
)


def summary_table(
    contents: Sequence[Mapping[str, Any]],
    schedule: str,
    methods: Sequence[str] = SHOWN,
    name: str = "train loss",
) -> str:
    """Return a Markdown table: a number of each method, a column for each workload.

    A method that is run without a schedule is shown with a constant rate.
    """
    lines = [["method", *(content["workload"] for content in contents)]]
    lines.append(["---"] * len(lines[0]))
    for method in methods:
        line = [method]
        for content in contents:
            cell = summary.cell_of(content, method, schedule) or summary.cell_of(
                content, method, "constant" if method.startswith("schedule-free") else schedule
            )
            text = ""
            if cell is not None:
                text = summary.estimate(cell, summary.largest_budget(cell), name).text()
            line.append(text)
        if any(line[1:]):
            lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def results(content: Mapping[str, Any], sweeps: Sequence[str] = ()) -> str:
    """Return a table for each schedule of a workload, its rows by the loss of the largest N."""
    found = []
    for schedule in dict.fromkeys(cell["schedule"] for cell in content["cells"]):
        cells = [
            cell
            for cell in content["cells"]
            if cell["schedule"] == schedule and cell["method"] not in sweeps
        ]
        target = summary.target(content, schedule, BASELINES)
        title = f"{content['workload']}, {schedule}: training loss (the target is {target:.3f})"
        budgets = sorted({int(budget) for cell in cells for budget in cell["winners"]})
        header = ("method", "tuned", *(f"N = {n}" for n in budgets), *COLUMNS)
        found.append(f"{title}\n{table(header, rows(cells, budgets, target))}")
    return "\n\n".join(found)


def rows(
    cells: Sequence[summary.Cell], budgets: Sequence[int], target: float
) -> list[tuple[str, ...]]:
    """Return a row for each cell."""

    def order(cell: summary.Cell) -> float:
        loss = summary.estimate(cell, summary.largest_budget(cell), "train loss").mean
        return loss if math.isfinite(loss) else math.inf

    return [_row(cell, budgets, target) for cell in sorted(cells, key=order)]


def _row(cell: summary.Cell, budgets: Sequence[int], target: float) -> tuple[str, ...]:
    last = summary.largest_budget(cell)
    reached = summary.time_to(cell, target)
    return (
        cell["method"],
        str(len(cell["values"][0])),
        *(
            summary.estimate(cell, n, "train loss").text() if str(n) in cell["winners"] else ""
            for n in budgets
        ),
        summary.estimate(cell, last, "averaged train loss").text(),
        summary.estimate(cell, last, "test loss").text(),
        f"{100 * summary.estimate(cell, last, 'test score').mean:.1f}",
        "" if math.isnan(reached) else f"{100 * reached:.0f} %",
        f"{100 * summary.useful(cell):.0f} %",
    )
