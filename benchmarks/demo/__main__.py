"""Trains one convolutional network with INDIAN and other optimizers in PyTorch, Keras and JAX.

    python -m benchmarks.demo                 # on scikit-learn's digits
    python -m benchmarks.demo --data FOLDER   # on the four IDX files of MNIST or Fashion-MNIST
    python -m benchmarks.demo --tune          # finds the step sizes by grid search

All runs of a seed start from the same weights and see the same minibatches, in float32. The first
framework runs several seeds, the others only the first seed. Prints a table, and writes demo.png
(the curves) and demo.json (their numbers) to the output folder.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.demo import picture, tables
from benchmarks.harness import RESULTS, command, data, files, grid, workers
from benchmarks.harness.log import Log, Result
from benchmarks.harness.runs import Run

SETTINGS = Path(__file__).with_name("settings.json")
COMPARED = "INDIAN"
_DIGITS = 4  # of a number in the file


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    settings = json.loads(SETTINGS.read_text())
    workers.check_installed(options.frameworks)
    dataset = data.load(options.data)
    (tune if options.tune else demo)(settings, options, dataset)


def demo(settings: dict[str, Any], options: argparse.Namespace, dataset: data.Dataset) -> None:
    name, seeds = dataset.name, settings["seeds"]
    found, chosen = _read_step_sizes(options.step_sizes, settings["optimizers"])
    if found != name:
        print(f"The step sizes were found on {found}: --tune finds them for {name}.")
    runs = [
        _run(settings, options, optimizer, framework=framework, lr=lr, seed=seed)
        for framework in options.frameworks
        for optimizer, lr in chosen.items()
        for seed in (seeds if framework == options.frameworks[0] else seeds[:1])
    ]
    results = _made(runs, options, dataset)
    Log(options.output / "demo.json", name).add(*results)
    files.save(picture.curves(results, name, COMPARED), options.output / "demo.png")
    print(tables.results(results))
    if len(options.frameworks) > 1:
        print(tables.agreement(results, COMPARED))
    print(f"Curves: {options.output / 'demo.png'}, their numbers: {options.output / 'demo.json'}")


def tune(settings: dict[str, Any], options: argparse.Namespace, dataset: data.Dataset) -> None:
    runs = [
        _run(settings, options, optimizer, framework=options.frameworks[0], lr=lr, seed=seed)
        for optimizer, content in settings["optimizers"].items()
        for lr in content["lr"]
        for seed in settings["grid seeds"]
    ]
    results = _made(runs, options, dataset)
    found = {
        optimizer: _found(settings["optimizers"][optimizer], losses)
        for optimizer, losses in grid.losses(results).items()
    }
    content = {
        "made by": f"python -m benchmarks.demo --tune --frameworks {options.frameworks[0]}",
        "data": dataset.name,
        "epochs": runs[0].epochs,
        "seeds": settings["grid seeds"],
        "software": results[0].software,
        "optimizers": found,
    }
    files.write(options.step_sizes, content)
    print(tables.step_sizes(found))
    print(f"Written to {options.step_sizes}")


def _found(settings: dict[str, Any], losses: dict[float, float]) -> dict[str, Any]:
    """Return an optimizer's best step size and its grid, in the form written as JSON."""
    lr, h, power = grid.best(losses), settings["hyperparameters"], settings["power"]
    found = {
        "lr": lr,
        "power": power,
        "hyperparameters": h,
        "loss": losses[lr],
        "columns": [*h, "lr", "power", "loss"],
        "grid": [[*h.values(), each, power, loss] for each, loss in losses.items()],
    }
    return files.rounded(found, _DIGITS)


def _run(
    settings: dict[str, Any], options: argparse.Namespace, optimizer: str, **fields: Any
) -> Run:
    fields["epochs"] = options.epochs or settings["epochs"]
    fields |= {name: settings[name] for name in ("network", "batch_size")}
    return grid.run(optimizer, settings["optimizers"][optimizer], **fields)


def _made(runs: Sequence[Run], options: argparse.Namespace, dataset: data.Dataset) -> list[Result]:
    """Make the runs under a progress bar, framework by framework."""
    steps = sum(run.epochs * (len(dataset.train_labels) // run.batch_size) for run in runs)
    results = []
    with tqdm(total=steps, unit="step") as bar:
        for framework, mine in itertools.groupby(runs, key=lambda run: run.framework):
            bar.set_description(framework)
            results += workers.train_all(list(mine), options.data, bar)
    return results


def _read_step_sizes(path: Path, optimizers: Iterable[str]) -> tuple[str, dict[str, float]]:
    """Return the name of the data that the step sizes were found on, and the step sizes."""
    try:
        content = json.loads(path.read_text())
        lrs = {name: float(content["optimizers"][name]["lr"]) for name in optimizers}
        return content["data"], lrs
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"Invalid step_sizes: {str(path)!r} (not a file that --tune made: {error!r})"
        ) from error


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("demo", __doc__, output="demo-results")
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of IDX files (default: scikit-learn's digits)")
    add("--epochs", type=command.positive, metavar="N", help="passes over the data (default: 10)")
    add(
        "--frameworks",
        nargs="+",
        choices=workers.FRAMEWORKS,
        default=workers.FRAMEWORKS,
        metavar="NAME",
        help="of torch, keras and jax (all); KERAS_BACKEND chooses Keras's backend",
    )
    add(
        "--step-sizes",
        type=Path,
        default=RESULTS / "demo-step-sizes.json",
        metavar="FILE",
        help="the step sizes to use; what --tune writes (those found on digits)",
    )
    add("--tune", action="store_true", help="find step sizes, in the first framework named")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
