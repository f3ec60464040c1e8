"""Which should I use? Every method is tuned with the same number of trials, rerun and compared.

    python -m benchmarks.study --data FOLDER                     # all of it; hours on two cores
    python -m benchmarks.study --workloads "digits, MLP, 16" --schedules linear
    python -m benchmarks.study --draw                            # only tables and pictures

FOLDER holds Fashion-MNIST's four IDX files. Each method gets the same points of one Sobol sequence
and three decades of learning rates. All trials use one seed. The best of N trials is rerun from
other seeds, and each disjoint block of N trials is one more draw. Runs are made in JAX, with one
process for each processor. The work can be stopped at any time, and the same command resumes after
the finished cells. Writes study-WORKLOAD.json and two pictures to the output folder, and prints the
tables.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.harness import apart, command, workers
from benchmarks.harness.files import save
from benchmarks.study import cells, picture, tables

SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())
# One thread for each process, because the kernels are short.
THREADS = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if not options.draw:
        measure(options)
    show(options.output)


def measure(options: argparse.Namespace) -> None:
    """Make the cells that are missing from the files."""
    methods = options.methods + (SETTINGS["sweeps"]["methods"] if options.sweeps else [])
    files, jobs = {}, []
    for workload in options.workloads:
        files[workload] = cells.File(options.output, workload, options.seeds, SETTINGS)
        for method in methods:
            plan = files[workload].plan(method, options.trials, options.schedules)
            if plan:
                jobs.append({"workload": workload, "method": method, "data": options.data} | plan)
    runs = sum(job["trials"] * len(job["schedules"]) for job in jobs)
    with tqdm(total=runs, unit="trial", smoothing=0.02) as bar:

        def make(job: dict[str, Any], processors: Sequence[int]) -> list[dict[str, Any]]:
            environment = workers.environment("jax", "cpu") | THREADS
            made: list[dict[str, Any]] = apart.call(
                cells.make, job, environment=environment, bar=bar, processors=processors
            )
            return made

        for job, made in apart.several(make, jobs, options.processes):
            files[job["workload"]].add(made)


def show(folder: Path) -> None:
    """Print the tables of the existing files, and draw the pictures."""
    paths = [folder / f"study-{cells.slug(name)}.json" for name in SETTINGS["workloads"]]
    contents = [json.loads(path.read_text()) for path in paths if path.exists()]
    if not contents:
        raise ValueError(f"Invalid output: {str(folder)!r} (it holds no cells)")
    sweeps = SETTINGS["sweeps"]["methods"]
    print(tables.summary_table(contents, picture.SCHEDULE), end="\n\n")
    print(tables.momenta(contents, picture.SCHEDULE), end="\n\n")
    for content in contents:
        print(tables.results(content, sweeps), end="\n\n")
    save(picture.comparison(contents, sweeps), folder / "study.png")
    save(picture.sensitivity(contents), folder / "study-sensitivity.png")
    print(folder / "study*.json and .png")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("study", __doc__)
    add, positive = parser.add_argument, command.positive
    add("--data", metavar="DIR", help="folder of Fashion-MNIST's IDX files")
    for name in ("workloads", "methods", "schedules"):
        choices = SETTINGS[name]
        add(f"--{name}", nargs="+", choices=choices, default=choices, metavar="NAME", help="(all)")
    add("--trials", type=positive, default=SETTINGS["trials"], metavar="N", help="(%(default)s)")
    seeds = SETTINGS["seeds"]
    add("--seeds", type=int, nargs="+", default=seeds, metavar="N", help="(%(default)s)")
    add("--no-sweeps", dest="sweeps", action="store_false", help="of the momentum")
    add("--draw", action="store_true", help="make no runs")
    add("--processes", type=positive, default=os.cpu_count(), metavar="N", help="(%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
