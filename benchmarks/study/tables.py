"""The tables of the study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness.tables import table
from benchmarks.study import summary

BASELINES = ("SGD-Nesterov", "AdamW")

# The methods in the first table that readers see. Each has one tuned number, the learning rate.
SHOWN = (
    "SGD-Nesterov",
    "INDIAN (.1, 2)",
    "INDIAN.from_sgd, d .3",
    "INDIAN, the paper's (.5, .1)",
    "AdamW",
    "NAdamW",
    "INNAprop.from_adam, d .3",
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
    """Return a Markdown table of one quantity: a row for each method, a column for each workload.

    A method that is run without a schedule is shown with a constant rate. A missing cell is "".
    """
    rows = []
    for method in methods:
        row = {"method": method}
        for content in contents:
            cell = summary.cell_of(content, method, schedule) or summary.cell_of(
                content, method, "constant" if method.startswith("schedule-free") else schedule
            )
            row[content["workload"]] = (
                summary.estimate(cell, summary.largest_budget(cell), name).text() if cell else ""
            )
        if any(list(row.values())[1:]):
            rows.append(row)
    return table(rows, markdown=True) if rows else ""


def momenta(contents: Sequence[Mapping[str, Any]], schedule: str) -> str:
    """Return a Markdown table: the largest over the smallest loss of the swept momenta."""
    losses: dict[str, dict[str, list[float]]] = {}
    for content in contents:
        for method, found in summary.swept(content, schedule).items():
            of_method = losses.setdefault(method, {})
            of_method[content["workload"]] = [each.mean for each in found.values()]
    rows = [
        {"largest / smallest loss": method}
        | {workload: f"{max(each) / min(each):.2f}" for workload, each in of_method.items()}
        for method, of_method in losses.items()
    ]
    return table(rows, markdown=True) if rows else ""


def results(content: Mapping[str, Any], sweeps: Sequence[str] = ()) -> str:
    """Return a table for each schedule of a workload, sorted by the loss at the largest N."""
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
        found.append(f"{title}\n{table(rows(cells, budgets, target))}")
    return "\n\n".join(found)


def rows(
    cells: Sequence[summary.Cell], budgets: Sequence[int], target: float
) -> list[dict[str, str]]:
    """Return a row for each cell, sorted by the loss."""

    def order(cell: summary.Cell) -> float:
        loss = summary.estimate(cell, summary.largest_budget(cell), "train loss").mean
        return loss if math.isfinite(loss) else math.inf

    return [_row(cell, budgets, target) for cell in sorted(cells, key=order)]


def _row(cell: summary.Cell, budgets: Sequence[int], target: float) -> dict[str, str]:
    def text(budget: int, name: str = "train loss") -> str:
        return summary.estimate(cell, budget, name).text() if str(budget) in cell["winners"] else ""

    last = summary.largest_budget(cell)
    reached = summary.time_to(cell, target)
    return {
        "method": cell["method"],
        "tuned": str(len(cell["values"][0])),
        **{f"N = {n}": text(n) for n in budgets},
        "averaged": text(last, "averaged train loss"),
        "test loss": text(last, "test loss"),
        "test, %": f"{100 * summary.estimate(cell, last, 'test score').mean:.1f}",
        "reaches it": "" if math.isnan(reached) else f"{100 * reached:.0f} %",
        "of trials within 10 %": f"{100 * summary.useful(cell):.0f} %",
    }
