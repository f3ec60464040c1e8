"""The README's table: each network without and with our optimizers, training beside test.

python -m benchmarks.study.readme
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import command, tables
from benchmarks.study import summary
from benchmarks.study.parts import PARTS, Untuned
from benchmarks.study.record import Record, Row

SEARCHED = (
    ("text", "transformer", 4000, ("AdamW", "NAdamW", "DampedAdamW")),
    ("images", "residual network", 2000, ("SGD, Nesterov", "DampedSGD")),
)
# Nothing is tuned: by the method and its rate, which of SGD is lr/(1 − m).
UNTUNED = {
    ("INDIAN", 0.1): "`INDIAN()`",
    ("Adam", 0.001): "`Adam()`",
    ("SGD, Nesterov", 1.0): "SGD Nesterov, 0.9, at 0.1",
}


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    folder = command.parser("study.readme", __doc__).parse_args(arguments).output
    print(table(folder))


def table(folder: Path) -> str:
    """Return the table of the files in a folder."""
    rows = []
    for name, network, steps, methods in SEARCHED:
        record = Record.read(folder / f"study-{name}.json")
        for method in methods:
            best = summary.best(record, steps, method)
            what = f"{method.replace(', ', ' ')}, {best.row.momentum:g}"
            rows.append(_row(f"{network}, {steps:,} steps", what, best.runs))
    record, part = Record.read(folder / "study-digits.json"), PARTS["digits-untuned"]
    assert isinstance(part, Untuned)
    for method, momentum, rate in part.rows:
        if what := UNTUNED.get((method, rate)):
            runs = record.reruns(Row(part.steps, method, momentum, "flat"), rate)
            rows.append(_row(f"perceptron, {part.steps:,} steps, untuned", what, runs))
    return tables.table(rows)


def _row(network: str, what: str, runs: Sequence[summary.Run]) -> dict[str, str]:
    losses = {
        name: summary.Estimate.of(run[f"{name} loss"] for run in runs).text()
        for name in ("train", "test")
    }
    return {
        "network": network,
        "optimizer, momentum": what,
        "training loss": losses["train"],
        "test loss": losses["test"],
    }


if __name__ == "__main__":
    main()
