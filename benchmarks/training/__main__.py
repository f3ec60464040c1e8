"""Figures 2, 3 and 4 of the paper: INDIAN against others, its (alpha, beta), its step sizes.

    python -m benchmarks.training --data FOLDER                      # LeNet-5, in JAX on the CPU
    python -m benchmarks.training --data FOLDER --network nin --device cuda
    python -m benchmarks.training --data FOLDER --framework torch --network mlp --epochs 5

The folder holds MNIST's, Fashion-MNIST's or CIFAR's files. As in the paper (section 5.2), every
optimizer gets a grid of as many step sizes and the one whose training loss is smallest after some
epochs (--grid-epochs), averaged over some initial weights (--grid-seeds), then is run from all of
them. The work can be stopped at any time: the same command goes on from the runs that are done.
Leaves a JSON file and a PNG, and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.harness import RESULTS, apart, command, data, figure, grid, workers
from benchmarks.harness.log import Log, Result
from benchmarks.harness.numbers import rounded
from benchmarks.harness.runs import Run
from benchmarks.training import picture, tables

HERE = Path(__file__).parent
SETTINGS = HERE / "settings.json"
_DIGITS = 5  # of a number in the file


def main(arguments: Sequence[str] | None = None) -> None:
    settings = json.loads(SETTINGS.read_text())
    options = _options(settings, arguments)
    try:
        workers.check_installed([options.framework])
        dataset = data.load(options.data)
        result = study(settings, options, dataset.name, len(dataset.train_labels))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    stem = f"training-{options.network}-{dataset.name}"
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{stem}.json").write_text(_dumps(result))
    figure.save(picture.picture(result, settings["figures"]), options.output / f"{stem}.png")
    print(tables.table(result))
    print(f"{options.output / stem}.json and .png")


def study(
    settings: dict[str, Any], options: argparse.Namespace, name: str, samples: int
) -> dict[str, Any]:
    """Make the runs that the log does not hold, and return what the JSON file does.

    Args:
        settings: The content of settings.json.
        options: The command's.
        name: The data set's.
        samples: How many training images it has.
    """
    cells = {cell: settings["cells"][cell] for cell in options.cells or settings["cells"]}
    searched = options.grid_epochs or options.epochs
    grid_seeds = options.grid_seeds or options.seeds
    # A cell's step sizes, for each seed.
    grids = {
        cell: [
            [_run(settings, options, cell, lr, searched, seed) for lr in content["lr"]]
            for seed in grid_seeds
        ]
        for cell, content in cells.items()
    }
    options.runs.mkdir(parents=True, exist_ok=True)
    log_file = options.runs / f"training-{options.network}-{name}.json"
    log = Log(log_file, name, resume=True)
    steps = samples // settings["batch_size"]
    # A run of the grid that is as long as the others is one of them.
    in_grid = grid_seeds if searched == options.epochs else []
    made = [seed for seed in options.seeds if seed not in in_grid]
    searches = [runs for of_cell in grids.values() for runs in of_cell]
    epochs = searched * sum(map(len, searches)) + options.epochs * len(made) * len(cells)
    with tqdm(total=epochs * steps, unit="step", smoothing=0.02) as bar:
        crew = _Crew(options, log, bar, steps)
        crew.make(searches)
        losses = {cell: _losses(log, of_cell) for cell, of_cell in grids.items()}
        chosen = {
            cell: _run(
                settings, options, cell, grid.best(table).lr, options.epochs, options.seeds[0]
            )
            for cell, table in losses.items()
        }
        crew.make(grid.with_seeds(run, made) for run in chosen.values())

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


class _Crew:
    """Workers that make cells of runs, a few at a time, and write them into the log."""

    def __init__(self, options: argparse.Namespace, log: Log, bar: Any, steps: int) -> None:
        self._options, self._log, self._bar, self._steps = options, log, bar, steps
        self._lock = threading.Lock()
        processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        # Several networks as small as these keep several processors busier than one does.
        count = options.processes if options.device == "cpu" else 1
        self._shares = [processors[i::count] for i in range(count)]

    def make(self, cells: Any) -> None:
        """Make the runs of the cells that are not in the log yet."""
        with ThreadPoolExecutor(len(self._shares)) as pool:
            list(pool.map(self._make, cells))

    def update(self, steps: int) -> None:
        with self._lock:
            self._bar.update(steps)

    def set_description(self, text: str) -> None:
        with self._lock:
            self._bar.set_description(text)

    def _make(self, runs: Sequence[Run]) -> None:
        missing = [run for run in runs if run not in self._log]
        self.update(sum(run.epochs for run in runs if run in self._log) * self._steps)
        if not missing:
            return
        with self._lock:
            share = self._shares.pop()
        try:
            results: Iterator[Result] = workers.train_all(
                missing, self._options.data, self, self._options.device, True, share
            )
            for result in results:
                with self._lock:
                    self._log.add(result)
        finally:
            with self._lock:
                self._shares.append(share)


def _run(
    settings: dict[str, Any],
    options: argparse.Namespace,
    cell: str,
    lr: float,
    epochs: int,
    seed: int,
) -> Run:
    content = settings["cells"][cell]
    return Run(
        framework=options.framework,
        optimizer=cell,
        rule=content["rule"],
        hyperparameters=content["hyperparameters"],
        lr=lr,
        power=content["power"],
        network=settings["networks"][options.network],
        batch_size=settings["batch_size"],
        epochs=epochs,
        seed=seed,
    )


def _losses(log: Log, searches: Iterable[Sequence[Run]]) -> dict[grid.Point, float]:
    """Return a cell's mean training loss over the seeds at each of its step sizes."""
    (table,) = grid.losses(log[run] for runs in searches for run in runs).values()
    return table


def _summary(log: Log, losses: dict[grid.Point, float], final: Sequence[Run]) -> dict[str, Any]:
    results = [log[run] for run in final]
    return {
        "rule": final[0].rule,
        "hyperparameters": final[0].hyperparameters,
        "power": final[0].power,
        "lr": final[0].lr,
        "grid": [[point.lr, rounded(loss, _DIGITS)] for point, loss in losses.items()],
        "training loss": [
            [rounded(r.train_loss, _DIGITS) for r in result.records] for result in results
        ],
        "test accuracy": [
            [rounded(r.test_accuracy, _DIGITS) for r in result.records] for result in results
        ],
    }


def _dumps(result: dict[str, Any]) -> str:
    """Return JSON with a line per cell."""
    cells = (
        f"{json.dumps(cell)}: {json.dumps(content, allow_nan=False)}"
        for cell, content in result["cells"].items()
    )
    head = json.dumps({key: value for key, value in result.items() if key != "cells"})
    return head[:-1] + ', "cells": {\n' + ",\n".join(cells) + "\n}}\n"


def _options(settings: dict[str, Any], arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("training", __doc__)
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of MNIST's or CIFAR's files (scikit-learn's digits)")
    add("--network", choices=list(settings["networks"]), default="lenet-5", help="(%(default)s)")
    add("--framework", choices=workers.FRAMEWORKS, default="jax", help="jax makes runs at once")
    add("--device", choices=list(apart.DEVICES), default="cpu", help="(%(default)s)")
    add(
        "--epochs",
        type=command.positive,
        default=15,
        metavar="N",
        help="passes over the data (%(default)s)",
    )
    add("--grid-epochs", type=command.positive, metavar="N", help="those of the grid (as --epochs)")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="N", help="(%(default)s)")
    add("--grid-seeds", type=int, nargs="+", metavar="N", help="those of the grid (as --seeds)")
    add(
        "--cells",
        nargs="+",
        choices=list(settings["cells"]),
        metavar="NAME",
        help="of settings.json",
    )
    add("--processes", type=command.positive, default=os.cpu_count(), metavar="N", help="on a CPU")
    add("--output", type=Path, default=RESULTS, metavar="DIR", help="(%(default)s)")
    add(
        "--runs",
        type=Path,
        default=HERE.parent / "runs",
        metavar="DIR",
        help="what is resumed (%(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
