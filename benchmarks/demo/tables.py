"""The table of the demo."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.log import Result
from benchmarks.harness.tables import mean, span, step_size, table


def results(all_results: Sequence[Result]) -> str:
    """Return a row per optimizer and framework: step size, last loss and accuracy, and time."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in sorted(all_results, key=lambda result: result.run.optimizer):
        groups.setdefault((result.run.optimizer, result.run.framework), []).append(result)
    rows = []
    for (optimizer, framework), seeds in groups.items():
        run, ends = seeds[0].run, [result.records[-1] for result in seeds]
        losses = [end.train_loss for end in ends]
        rows.append(
            {
                "optimizer": optimizer,
                "framework": framework,
                "step size": step_size(run.lr, run.power),
                "training loss": mean(losses, ".6f"),
                "best-worst": span(losses, ".6f"),
                "test accuracy, %": mean([100 * end.test_accuracy for end in ends], ".2f"),
                "training": f"{sum(end.seconds for end in ends):.1f} s",
            }
        )
    return table(rows)
