"""Figures 2, 3 and 4 of the paper: INDIAN against others, its (alpha, beta), its step sizes.

    python -m benchmarks.training --data FOLDER      # LeNet-5, in JAX on the CPU

FOLDER holds MNIST's or Fashion-MNIST's files. As in the paper (section 5.2), every optimizer gets a
grid of equally many step sizes. The step size chosen is the one with the smallest training loss
after some epochs, averaged over some initial weights. The optimizer is then run with it from all
initial weights. The numbers are in settings.json. The work can be stopped at any time, and the same
command resumes after the finished runs. Writes a JSON file and a PNG, and prints a table.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm import tqdm

from benchmarks.harness import command, data, files, workers
from benchmarks.harness.log import Log
from benchmarks.harness.runs import Run
from benchmarks.training import picture, tables

SETTINGS = Path(__file__).with_name("settings.json")
RUNS = Path(__file__).parents[1] / "runs"
_DIGITS = 5  # of a number in the file


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = command.parser("training", __doc__)
    add = parser.add_argument
    add("--data", metavar="DIR", required=True, help="folder of MNIST's or Fashion-MNIST's files")
    add("--settings", type=Path, default=SETTINGS, metavar="FILE", help="(settings.json)")
    add("--runs", type=Path, default=RUNS, metavar="DIR", help="what is resumed (%(default)s)")
    options = parser.parse_args(arguments)
    workers.check_installed(["jax"])
    settings = json.loads(options.settings.read_text())
    name = data.load(options.data).name
    stem = f"training-{settings['name']}-{name}"
    result = study(settings, options.data, Log(options.runs / f"{stem}.json", name))
    content = {"made by": "python -m benchmarks.training --data FOLDER", "data": name} | result
    print(tables.results(content))
    files.leave(options.output, stem, content, picture.picture(content, settings["figures"]))


def study(settings: dict[str, Any], folder: str, log: Log) -> dict[str, Any]:
    """Make the runs that are missing from the log, and return the content of the JSON file."""

    def runs(cell: str, lrs: Sequence[float], epochs: int, seeds: Sequence[int]) -> list[Run]:
        fields = {"framework": "jax", "optimizer": cell, "epochs": epochs}
        fields |= {name: settings[name] for name in ("network", "batch_size")}
        rule = settings["cells"][cell]
        return [Run(**rule | fields | {"lr": lr, "seed": seed}) for seed in seeds for lr in lrs]

    grids = {
        cell: runs(cell, content["lr"], settings["grid epochs"], settings["grid seeds"])
        for cell, content in settings["cells"].items()
    }
    _make(list(grids.values()), log, folder)
    losses = {
        cell: {
            lr: fmean(log[run].records[-1].train_loss for run in of_cell if run.lr == lr)
            for lr in settings["cells"][cell]["lr"]
        }
        for cell, of_cell in grids.items()
    }
    finals = {
        cell: runs(cell, [best(table)], settings["epochs"], settings["seeds"])
        for cell, table in losses.items()
    }
    _make(list(finals.values()), log, folder)
    head = ("epochs", "grid epochs", "grid seeds", "seeds")
    return {
        "network": settings["name"],
        "software": log[finals[next(iter(finals))][0]].software,
        **{name: settings[name] for name in head},
        "batch size": settings["batch_size"],
        "cells": {cell: _summary(log, losses[cell], runs) for cell, runs in finals.items()},
    }


def best(table: Mapping[float, float]) -> float:
    """Return the step size with the smallest loss.

    Raises:
        ValueError: If the loss is NaN or infinite at every step size.
    """
    finite = {lr: loss for lr, loss in table.items() if math.isfinite(loss)}
    if not finite:
        raise ValueError(f"all runs of the grid diverged: {list(table)}")
    return min(finite, key=finite.__getitem__)


def _make(groups: Sequence[Sequence[Run]], log: Log, folder: str) -> None:
    """Make the groups' runs that are missing from the log, a group on each processor."""
    missing = [[run for run in runs if run not in log] for runs in groups]
    jobs = [(runs, folder) for runs in missing if runs]
    environment = workers.environment("jax")
    with tqdm(total=sum(map(len, missing)), unit="run") as bar:
        for results in workers.apart(workers.make, jobs, environment, os.cpu_count() or 1):
            log.add(*results)
            bar.update(len(results))


def _summary(log: Log, losses: dict[float, float], final: Sequence[Run]) -> dict[str, Any]:
    records = [log[run].records for run in final]
    content = {
        "rule": final[0].rule,
        "hyperparameters": final[0].hyperparameters,
        "power": final[0].power,
        "lr": final[0].lr,
        "grid": [[lr, loss] for lr, loss in losses.items()],
        "training loss": [[record.train_loss for record in run] for run in records],
        "test accuracy": [[record.test_accuracy for record in run] for run in records],
    }
    return files.rounded(content, _DIGITS)


if __name__ == "__main__":
    main()
