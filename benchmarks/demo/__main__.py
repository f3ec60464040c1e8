"""Trains one convolutional network with INDIAN and other optimizers in PyTorch, Keras and JAX.

    python -m benchmarks.demo                 # on scikit-learn's digits
    python -m benchmarks.demo --data FOLDER   # on the four IDX files of MNIST or Fashion-MNIST

All runs of a seed start from the same weights and see the same minibatches, in float32. The step
sizes, in settings.json, were the best of a grid on the digits. The first framework runs several
seeds, the others only the first seed. Prints a table, and writes demo.png (the curves) and
demo.json (their numbers) to the output folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from benchmarks.demo import picture, tables
from benchmarks.harness import command, data, files, log, workers
from benchmarks.harness.runs import Run

SETTINGS = Path(__file__).with_name("settings.json")
COMPARED = "INDIAN"


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
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
    options = parser.parse_args(arguments)
    settings = json.loads(SETTINGS.read_text())
    workers.check_installed(options.frameworks)
    name, seeds = data.load(options.data).name, settings["seeds"]
    shared = {field: settings[field] for field in ("network", "batch_size")}
    shared["epochs"] = options.epochs or settings["epochs"]
    results = []
    for framework in tqdm(options.frameworks, unit="framework"):
        runs = [
            Run(framework=framework, optimizer=optimizer, seed=seed, **rule, **shared)
            for optimizer, rule in settings["optimizers"].items()
            for seed in (seeds if framework == options.frameworks[0] else seeds[:1])
        ]
        job = (runs, options.data)
        (made,) = workers.apart(workers.make, [job], workers.environment(framework))
        results += made
    log.write(options.output / "demo.json", name, results)
    files.save(picture.curves(results, name, COMPARED), options.output / "demo.png")
    print(tables.results(results))
    print(f"Curves: {options.output / 'demo.png'}, their numbers: {options.output / 'demo.json'}")


if __name__ == "__main__":
    main()
