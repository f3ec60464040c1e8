"""Figures 2, 3 and 4 of the paper: INDIAN against others, its (alpha, beta), its step sizes.

    python -m benchmarks.training --data FOLDER                      # LeNet-5, in JAX on the CPU
    python -m benchmarks.training --data FOLDER --network nin --device cuda
    python -m benchmarks.training --data FOLDER --framework torch --network mlp --epochs 5

FOLDER holds MNIST's, Fashion-MNIST's or CIFAR's files. As in the paper (section 5.2), every
optimizer gets a grid of equally many step sizes. The step size chosen is the one with the smallest
training loss after some epochs (--grid-epochs), averaged over some initial weights (--grid-seeds).
The optimizer is then run with it from all initial weights (--seeds). The work can be stopped at any
time, and the same command resumes after the finished runs. Writes a JSON file and a PNG, and prints
a table.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.harness import apart, command, data, files, grid, workers
from benchmarks.harness.log import Log, Result
from benchmarks.harness.runs import Run
from benchmarks.training import picture, tables

SETTINGS = Path(__file__).with_name("settings.json")
_DIGITS = 5  # of a number in the file


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    settings = json.loads(SETTINGS.read_text())
    options = _options(settings, arguments)
    workers.check_installed([options.framework])
    dataset = data.load(options.data)
    result = study(settings, options, dataset.name, len(dataset.train_labels))
    print(tables.results(result))
    stem = f"training-{options.network}-{dataset.name}"
    files.leave(options.output, stem, result, picture.picture(result, settings["figures"]))


def study(
    settings: dict[str, Any], options: argparse.Namespace, name: str, samples: int
) -> dict[str, Any]:
    """Make the runs that are missing from the log, and return the content of the JSON file.

    Args:
        settings: The content of settings.json.
        options: The command's options.
        name: The name of the data set.
        samples: The number of its training images.
    """
    cells = {cell: settings["cells"][cell] for cell in options.cells or settings["cells"]}
    searched = options.grid_epochs or options.epochs
    grid_seeds = options.grid_seeds or options.seeds

    shared = {
        "framework": options.framework,
        "network": settings["networks"][options.network],
        "batch_size": settings["batch_size"],
    }

    def run(cell: str, lr: float, epochs: int, seed: int) -> Run:
        return grid.run(cell, cells[cell], lr=lr, epochs=epochs, seed=seed, **shared)

    # The runs over a cell's step sizes, for each seed.
    grids = {
        cell: [[run(cell, lr, searched, seed) for lr in content["lr"]] for seed in grid_seeds]
        for cell, content in cells.items()
    }
    log = Log(options.runs / f"training-{options.network}-{name}.json", name, resume=True)
    steps = samples // settings["batch_size"]
    # A run of the grid that is as long as a final run also serves as one.
    in_grid = grid_seeds if searched == options.epochs else []
    made = [seed for seed in options.seeds if seed not in in_grid]
    searches = [runs for of_cell in grids.values() for runs in of_cell]
    epochs = searched * sum(map(len, searches)) + options.epochs * len(made) * len(cells)
    with tqdm(total=epochs * steps, unit="step", smoothing=0.02) as bar:
        _make(searches, log, options, bar, steps)
        losses = grid.losses(log[one] for runs in searches for one in runs)
        chosen = {
            cell: run(cell, grid.best(table), options.epochs, options.seeds[0])
            for cell, table in losses.items()
        }
        _make([grid.with_seeds(one, made) for one in chosen.values()], log, options, bar, steps)

    some = log[next(iter(chosen.values()))]
    return {
        "made by": (
            f"python -m benchmarks.training --data FOLDER --network {options.network} "
            f"--framework {options.framework} --device {options.device} "
            f"--epochs {options.epochs} --grid-epochs {searched} "
            f"--seeds {' '.join(map(str, options.seeds))} "
            f"--grid-seeds {' '.join(map(str, grid_seeds))}"
        ),
        "network": options.network,
        "data": name,
        "framework": options.framework,
        "device": options.device,
        "software": some.software,
        "epochs": options.epochs,
        "grid epochs": searched,
        "grid seeds": grid_seeds,
        "batch size": settings["batch_size"],
        "seeds": options.seeds,
        "cells": {
            cell: _summary(log, losses[cell], grid.with_seeds(run, options.seeds))
            for cell, run in chosen.items()
        },
    }


def _make(
    cells: Sequence[Sequence[Run]], log: Log, options: argparse.Namespace, bar: Any, steps: int
) -> None:
    """Make the cells' runs that are missing from the log, a few cells at a time."""
    missing = [[run for run in runs if run not in log] for runs in cells]
    bar.update(steps * sum(run.epochs for runs in cells for run in runs if run in log))

    def make(runs: Sequence[Run], processors: Sequence[int]) -> list[Result]:
        return workers.train_all(runs, options.data, bar, options.device, processors)

    count = options.processes if options.device == "cpu" else 1
    for _, results in apart.several(make, filter(None, missing), count):
        log.add(*results)


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


def _options(settings: dict[str, Any], arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("training", __doc__)
    add, positive = parser.add_argument, command.positive
    runs, cells = Path(__file__).parents[1] / "runs", settings["cells"]
    add("--data", metavar="DIR", help="folder of MNIST's or CIFAR's files (scikit-learn's digits)")
    add("--network", choices=list(settings["networks"]), default="lenet-5", help="(%(default)s)")
    add("--framework", choices=workers.FRAMEWORKS, default="jax", help="jax makes runs at once")
    add("--device", choices=list(workers.DEVICES), default="cpu", help="(%(default)s)")
    add("--epochs", type=positive, default=15, metavar="N", help="over the data (%(default)s)")
    add("--grid-epochs", type=positive, metavar="N", help="those of the grid (as --epochs)")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="N", help="(%(default)s)")
    add("--grid-seeds", type=int, nargs="+", metavar="N", help="those of the grid (as --seeds)")
    add("--cells", nargs="+", choices=list(cells), metavar="NAME", help="of settings.json")
    add("--processes", type=positive, default=os.cpu_count(), metavar="N", help="on a CPU")
    add("--runs", type=Path, default=runs, metavar="DIR", help="what is resumed (%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
