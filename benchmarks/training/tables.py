"""The table of a training study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness import tables


def table(result: dict[str, Any]) -> str:
    """Return a row per cell: its step size, and the mean and the range over the seeds."""
    rows = []
    for cell, content in result["cells"].items():
        losses = [curve[-1] for curve in content["training loss"]]
        accuracies = [100 * curve[-1] for curve in content["test accuracy"]]
        at_edge = content["lr"] in (content["grid"][0][0], content["grid"][-1][0])
        rows.append(
            (
                cell,
                tables.step_size(content["lr"], content["power"]) + (" (edge)" if at_edge else ""),
                _mean(losses, ".4f"),
                _range(losses, ".4f"),
                _mean(accuracies, ".2f"),
                _range(accuracies, ".2f"),
            )
        )
    header = (
        "optimizer",
        "step size",
        "training loss",
        "best-worst",
        "test accuracy, %",
        "worst-best",
    )
    return tables.table(header, rows)


def _mean(values: Sequence[float | None], digits: str) -> str:
    known = [value for value in values if value is not None]
    return format(sum(known) / len(known), digits) if len(known) == len(values) else "diverged"


def _range(values: Sequence[float | None], digits: str) -> str:
    known = [value for value in values if value is not None]
    return f"{min(known):{digits}}-{max(known):{digits}}" if known else ""
