"""The tables of `precision.py`: means over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness.tables import table

Rows = list[dict[str, Any]]


def rounding(rows: Rows) -> str:
    """Return a row for each variant."""
    header = ("alpha, beta", "stored", "relative error of θ", "training loss")
    return table(
        header,
        [
            (
                f"{row['alpha']:g}, {row['beta']:g}",
                row["variant"],
                mean(row["error"], ".1e"),
                mean(row["loss"], ".4f"),
            )
            for row in rows
        ],
    )


def outside(rows: Rows) -> str:
    """Return a row for each change in each form."""
    header = (
        "alpha, beta",
        "θ changed in mid-run",
        "form",
        "δ / θ",
        "moves on by / δ",
        "loss before",
        "just after",
        "worst of the next steps",
    )
    return table(
        header,
        [
            (
                f"{row['alpha']:g}, {row['beta']:g}",
                row["change"],
                row["form"],
                mean(row["size"], ".3f"),
                mean(row["displacement"], ".3g"),
                *(mean(row[name], ".3f") for name in ("loss before", "loss after", "worst loss")),
            )
            for row in rows
        ],
    )


def mean(values: Sequence[float | None], form: str) -> str:
    """Return the mean of the seeds' numbers as text, and how many of them there are not."""
    finite = [value for value in values if value is not None]
    lost = f"{len(values) - len(finite)} of {len(values)} diverged"
    if not finite:
        return "diverged"
    text = format(sum(finite) / len(finite), form)
    return text if len(finite) == len(values) else f"{text} ({lost})"
