"""Untuned: the optimizers' losses on the study's workloads with the numbers a script begins with.

    python -m benchmarks.study.untuned --data FOLDER    # some twenty minutes on one core
    python -m benchmarks.study.untuned --draw           # only the tables

There is no search and no warm-up. The losses are what a user gets who changes one line, and either
keeps the defaults or sets one round number. Writes untuned.json to the output folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.harness import command, files, tables
from benchmarks.study.summary import Estimate
from indian_core import METHODS as DEFAULTS

SETTINGS = json.loads((Path(__file__).parent / "settings.json").read_text())
SCHEDULES = ("constant", "cosine")
SEEDS = (1, 2, 3)
INDIAN, INNAPROP = (
    {name: field.default for name, field in DEFAULTS[method].items()}
    for method in ("INDIAN", "INNAprop")
)
# For each method of the study, its learning rates, and the tables' name for method and rate.
RATES: Mapping[str, Mapping[float, str]] = {
    "INDIAN (.1, 2)": {
        lr: f"INDIAN(lr={lr:g})" if lr != INDIAN["lr"] else f"INDIAN(), lr {lr:g}"
        for lr in (0.02, 0.05, 0.1)
    },
    "INDIAN, the paper's (.5, .1)": {0.1: "INDIAN(lr=0.1), the paper's (.5, .1)"},
    "SGD-Nesterov": {lr: f"SGD(lr={lr:g}), Nesterov's m = .9" for lr in (0.01, 0.05, 0.1)},
    "INDIAN.from_sgd, d .3": {
        lr: f"INDIAN.from_sgd(lr={lr:g}, momentum=.9, damping=.3)" for lr in (0.01, 0.05, 0.1)
    },
    "Adam": {1e-3: "Adam(), lr 0.001"},
    "AdamW": {1e-3: "AdamW(), lr 0.001"},
    "INNAprop, its paper's (.1, .9)": {INNAPROP["lr"]: f"INNAprop(), lr {INNAPROP['lr']:g}"},
    "INNAprop.from_adam, d .3": {1e-3: "INNAprop.from_adam(damping=0.3), lr 0.001"},
}


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = command.parser("study.untuned", __doc__)
    add, workloads = parser.add_argument, SETTINGS["workloads"]
    add("--data", metavar="DIR", help="folder of Fashion-MNIST's IDX files")
    add("--workloads", nargs="+", choices=workloads, default=workloads, metavar="NAME")
    add("--draw", action="store_true", help="make no runs")
    options = parser.parse_args(arguments)
    path = options.output / "untuned.json"
    if not options.draw:
        content = measure(options)
        if path.exists():  # it may hold workloads that were not requested
            losses = json.loads(path.read_text())["training losses"]
            content["training losses"] = losses | content["training losses"]
        files.write(path, content)
    made = json.loads(path.read_text())
    for schedule in SCHEDULES:
        print(table(made, schedule), end="\n\n")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the losses at the end of all runs, in the form of the file."""
    from benchmarks.study.methods import METHODS  # noqa: PLC0415 (it loads JAX)
    from benchmarks.study.runs import Runner  # noqa: PLC0415
    from benchmarks.study.workloads import load  # noqa: PLC0415

    losses: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    cold = {
        name: dataclasses.replace(load(name, options.data), warmup=0.0)
        for name in options.workloads
    }
    for workload, method in tqdm(list(itertools.product(options.workloads, RATES))):
        run = Runner(cold[workload], METHODS[method])
        of_workload = losses.setdefault(workload, {schedule: {} for schedule in SCHEDULES})
        for schedule, (lr, name) in itertools.product(SCHEDULES, RATES[method].items()):
            records = [run({"lr": lr}, schedule, seed) for seed in SEEDS]
            of_workload[schedule][name] = [record["train loss"] for record in records]
    return {
        "made by": "python -m benchmarks.study.untuned --data FOLDER",
        "software": ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "optax")),
        "seeds": SEEDS,
        "training losses": losses,
    }


def table(content: Mapping[str, Any], schedule: str) -> str:
    """Return a Markdown table: a row for each optimizer, a column for each workload."""
    found = content["training losses"]
    rows = [
        {f"untuned, {schedule}": name}
        | {workload: _text(each[schedule][name]) for workload, each in found.items()}
        for name in next(iter(found.values()))[schedule]
    ]
    return tables.table(rows, markdown=True)


def _text(losses: Sequence[float | None]) -> str:
    return Estimate.of([math.nan if loss is None else loss for loss in losses]).text()


if __name__ == "__main__":
    main()
