"""The tables of `precision`: means over the seeds."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.tables import mean, table

Rows = list[dict[str, Any]]


def rounding(rows: Rows) -> str:
    """Return a row for each variant."""
    return table(
        [
            {
                "alpha, beta": f"{row['alpha']:g}, {row['beta']:g}",
                "stored": row["variant"],
                "relative error of θ": mean(row["error"], ".1e"),
                "training loss": mean(row["loss"], ".4f"),
            }
            for row in rows
        ]
    )


def outside(rows: Rows) -> str:
    """Return a row for each change in each form."""
    return table(
        [
            {
                "alpha, beta": f"{row['alpha']:g}, {row['beta']:g}",
                "θ changed in mid-run": row["change"],
                "form": row["form"],
                "δ / θ": mean(row["size"], ".3f"),
                "moves on by / δ": mean(row["displacement"], ".3g"),
                "loss before": mean(row["loss before"], ".3f"),
                "just after": mean(row["loss after"], ".3f"),
                "worst of the next steps": mean(row["worst loss"], ".3f"),
            }
            for row in rows
        ]
    )
