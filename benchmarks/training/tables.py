"""The table of a training study."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.tables import mean, span, step_size, table


def results(result: dict[str, Any]) -> str:
    """Return a row per cell: its step size, and the mean and the range over the seeds."""
    rows = []
    for cell, content in result["cells"].items():
        losses = [curve[-1] for curve in content["training loss"]]
        accuracies = [100 * curve[-1] for curve in content["test accuracy"]]
        at_edge = content["lr"] in (content["grid"][0][0], content["grid"][-1][0])
        rows.append(
            {
                "optimizer": cell,
                "step size": step_size(content["lr"], content["power"]) + " (edge)" * at_edge,
                "training loss": mean(losses, ".4f"),
                "best-worst": span(losses, ".4f"),
                "test accuracy, %": mean(accuracies, ".2f"),
                "worst-best": span(accuracies, ".2f"),
            }
        )
    return table(rows)
