"""The tables of docs/speed.md: our step times over the framework's own fastest optimizers.

    python -m benchmarks.step_time.page

Reads every step-time-*.json and whole-step-*.json in the results folder, and prints the tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import command, tables

SHAPES = "ResNet-50"
# Our method, and whose fastest step its own is divided by.
METHODS = {
    "INDIAN": "SGD Nesterov",
    "DampedSGD": "SGD Nesterov",
    "INNAprop": "AdamW",
    "DampedAdamW": "AdamW",
}
# The usual ways to run a method, the first that there is.
HOW = (" (fused)", " (default)", " (weight decay)", " (jit)", " (eager)", " (donated)", "")
FRAMEWORKS = {"torch": "PyTorch", "jax": "JAX and optax", "keras": "Keras"}
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    folder = command.parser("step_time.page", __doc__).parse_args(arguments).output
    print(steps(folder), whole_steps(folder), sep="\n\n")


def steps(folder: Path) -> str:
    """Return the table of the optimizers' steps alone."""
    rows = []
    for where, sets in _files(folder, "step-time"):
        rows.append({"one step": where} | ratios(sets[SHAPES]["contenders"]))
    return tables.table(rows)


def whole_steps(folder: Path) -> str:
    """Return the table of whole training steps, gradient included, for each batch size."""
    rows = []
    for where, sets in _files(folder, "whole-step"):
        for name, content in sets.items():
            batch = name.rpartition(" ")[2]
            row = {"a whole training step": f"{where}, batches of {batch}"}
            rows.append(row | ratios(content["contenders"]))
    return tables.table(rows)


def ratios(contenders: Mapping[str, Any]) -> dict[str, str]:
    """Return the ratio of each method that was measured."""
    times = {name: row["median_ms"] for name, row in contenders.items()}
    found = {}
    for method, rival in METHODS.items():
        names = [method + how for how in HOW if method + how in times]
        names += [f"{method} (weight decay){how}" for how in HOW if not names]
        ours = next((times[name] for name in names if name in times), None)
        theirs = min(
            time
            for name, time in times.items()
            if name.partition(" (")[0] == rival and "cosine" not in name
        )
        column = f"{method} / {rival.partition(' ')[0]}"
        found[column] = "" if ours is None else f"{ours / theirs:.2f}"
    return found


def _files(folder: Path, stem: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in sorted(folder.glob(f"{stem}-*.json")):
        content = json.loads(path.read_text())
        where = FRAMEWORKS[content["framework"]]
        if content["backend"]:
            where += f" on {BACKENDS[content['backend']]}"
        yield where, content["sets"]


if __name__ == "__main__":
    main()
