"""Trains one convolutional network with INDIAN and others in PyTorch, Keras and JAX.

    python -m benchmarks.demo                 # on scikit-learn's digits
    python -m benchmarks.demo --data FOLDER   # on the four IDX files of MNIST or Fashion-MNIST
    python -m benchmarks.demo --tune          # finds the step sizes by grid search

All runs of a seed start from the same weights and see the same minibatches, in float32: several
seeds in the first framework, the first seed in the others. Prints a table and leaves demo.png, the
curves, and demo.json, the numbers that made them, in the output folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.harness import RESULTS, command, data, grid, tables, workers
from benchmarks.harness.log import Log, Result
from benchmarks.harness.runs import Run

HERE = Path(__file__).parent
SETTINGS = HERE / "settings.json"
STEP_SIZES = RESULTS / "demo-step-sizes.json"
COMPARED = "INDIAN"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    settings = json.loads(SETTINGS.read_text())
    try:
        workers.check_installed(options.frameworks)
        name = data.load(options.data).name
        (tune if options.tune else demo)(settings, options, name)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def demo(settings: dict[str, Any], options: argparse.Namespace, name: str) -> None:
    from benchmarks.harness import figure, plots  # noqa: PLC0415 (tuning draws nothing)

    step_sizes = _read_step_sizes(options.step_sizes, settings["optimizers"])
    if step_sizes["data"] != name:
        print(f"The step sizes were found on {step_sizes['data']}: --tune finds them for {name}.")
    runs = [
        run
        for framework in options.frameworks
        for optimizer in settings["optimizers"]
        for run in grid.with_seeds(
            _run(settings, options, framework, optimizer, step_sizes["optimizers"][optimizer]),
            settings["seeds"] if framework == options.frameworks[0] else settings["seeds"][:1],
        )
    ]
    results = _make(runs, options, name, "demo.json")
    figure.save(plots.curves(results, name, COMPARED), options.output / "demo.png")
    print(tables.results(results))
    if len(options.frameworks) > 1:
        print(tables.agreement(results, COMPARED))
    print(f"Curves: {options.output / 'demo.png'}, their numbers: {options.output / 'demo.json'}")


def tune(settings: dict[str, Any], options: argparse.Namespace, name: str) -> None:
    search = settings["grid"]
    runs = [
        run
        for optimizer in settings["optimizers"]
        for point in grid.points(
            settings["optimizers"][optimizer]["lr"],
            search["power"],
            settings["optimizers"][optimizer]["choices"],
        )
        for run in grid.with_seeds(
            _run(settings, options, options.frameworks[0], optimizer, point.as_dict()),
            search["seeds"],
        )
    ]
    results = _make(runs, options, name, "tune.json")
    found = {optimizer: grid.as_dict(table) for optimizer, table in grid.losses(results).items()}
    content = {
        "made by": f"python -m benchmarks.demo --tune --frameworks {options.frameworks[0]}",
        "data": name,
        "epochs": runs[0].epochs,
        "seeds": search["seeds"],
        "software": results[0].software,
        "optimizers": found,
    }
    options.step_sizes.write_text(json.dumps(content, indent=1) + "\n")
    print(tables.step_sizes(found))
    print(f"Written to {options.step_sizes}")


def _run(
    settings: dict[str, Any],
    options: argparse.Namespace,
    framework: str,
    optimizer: str,
    found: dict[str, Any],
) -> Run:
    return Run(
        framework=framework,
        optimizer=optimizer,
        rule=settings["optimizers"][optimizer]["rule"],
        hyperparameters=found["hyperparameters"],
        lr=found["lr"],
        power=found["power"],
        network=settings["network"],
        batch_size=settings["batch_size"],
        epochs=options.epochs or settings["epochs"],
        seed=settings["seeds"][0],
    )


def _make(
    runs: Sequence[Run], options: argparse.Namespace, name: str, log_name: str
) -> list[Result]:
    """Make those runs that the log does not hold yet, under a progress bar."""
    options.output.mkdir(parents=True, exist_ok=True)
    log = Log(options.output / log_name, name, options.resume)
    missing = [run for run in runs if run not in log]
    if len(missing) < len(runs):
        print(f"{len(runs) - len(missing)} of {len(runs)} runs are already in {log_name}.")
    samples = len(data.load(options.data).train_labels)
    steps = sum(run.epochs * (samples // run.batch_size) for run in missing)
    with tqdm(total=steps, unit="step", disable=not missing) as bar:
        for result in workers.train_all(missing, options.data, bar):
            log.add(result)
    return [log[run] for run in runs]


def _read_step_sizes(path: Path, optimizers: dict[str, Any]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        for optimizer in optimizers:
            for number in ("lr", "power"):
                float(content["optimizers"][optimizer][number])
            dict(content["optimizers"][optimizer]["hyperparameters"])
        str(content["data"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"Invalid step_sizes: {str(path)!r} (not a file that --tune made: {error!r})"
        ) from error
    return content


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("demo", __doc__)
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of IDX files (default: scikit-learn's digits)")
    add("--epochs", type=command.positive, metavar="N", help="passes over the data (default: 10)")
    add("--output", type=Path, default="demo-results", metavar="DIR", help="(%(default)s)")
    add(
        "--frameworks",
        nargs="+",
        default=workers.FRAMEWORKS,
        metavar="NAME",
        help="of torch, keras and jax (all); KERAS_BACKEND chooses Keras's backend",
    )
    add(
        "--step-sizes",
        type=Path,
        default=STEP_SIZES,
        metavar="FILE",
        help="the step sizes to use; what --tune writes (those found on digits)",
    )
    add("--tune", action="store_true", help="find step sizes, in the first framework named")
    add("--resume", action="store_true", help="keep the runs that an interrupted command finished")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
