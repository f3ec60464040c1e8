"""A grid of momenta and learning rates for each method, its winners rerun from other seeds.

    python -m benchmarks.study text-1000             # a part; they are listed below
    python -m benchmarks.study --draw                # pictures, and the tables as a page

Every row, a method at a momentum, is searched on one seed: octaves of the rate until the best by
the validation loss lies between two worse ones, then the half octaves beside it. Runs are made in
JAX on one thread. Stopped, the same command goes on after the last run. Writes study-WORKLOAD.json.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.harness import command
from benchmarks.harness.files import save
from benchmarks.study import picture, search, tables
from benchmarks.study.parts import PARTS, WORKLOADS, Part, Untuned
from benchmarks.study.record import SEARCHED, Record, Row

FRONT = 4000  # the steps of the front page's runs


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = command.parser("study", __doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--data", metavar="DIR", help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--draw", action="store_true", help="make no runs")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"unknown parts: {', '.join(unknown)} (there are {', '.join(PARTS)})")
    for name in options.parts:
        make(name, options)
    if options.draw:
        show(options.output)


def show(folder: Path) -> None:
    """Print the page of tables, and draw the pictures of what there is."""
    paths = [folder / f"study-{name}.json" for name in WORKLOADS]
    records = {path.stem[6:]: Record.read(path) for path in paths if path.exists()}
    if not records:
        raise ValueError(f"Invalid output: {str(folder)!r} (it holds no runs)")
    print(tables.page(records))
    if {"text", "images"} <= records.keys():
        save(picture.grids(records), folder / "study-grid.png")
        save(picture.front(records["text"], FRONT), folder / "front.png")


def make(name: str, options: argparse.Namespace) -> None:
    """Make a part's runs that are missing from its file."""
    # The kernels are too short for two threads.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from benchmarks.study.training import Program  # noqa: PLC0415 (it loads JAX)
    from benchmarks.study.workloads import load  # noqa: PLC0415

    part = PARTS[name]
    workload = load(part.workload, options.data)
    head = {
        "made by": "python -m benchmarks.study PART",
        "workload": workload.name,
        "data": workload.data,
        "software": ", ".join(f"{each} {metadata.version(each)}" for each in ("jax", "optax")),
    }
    record = Record.read(options.output / f"study-{part.workload}.json", head)
    with tqdm(unit="step", desc=name) as bar:
        programs: dict[Row, Any] = {}

        def run(row: Row, rate: float, seed: int) -> None:
            if record.has(row, rate, seed):
                return
            if row not in programs:
                programs[row] = Program(workload, *row)
            record.add(row, rate, seed, programs[row](rate, seed, bar.update))

        if isinstance(part, Untuned):
            for seed, (method, momentum, rate) in product(part.seeds, part.rows):
                run(Row(part.steps, method, momentum, "flat"), rate, seed)
            return
        for row in rows(part):
            while places := search.wanted(record.losses(row), part.first, part.halves):
                for k in places:
                    run(row, search.rate(k), SEARCHED)
            if search.at_edge(record.losses(row)):
                bar.write(f"{row}: at the edge")
        for seed in part.seeds:
            for row in rows(part) if seed in part.row_seeds else best_rows(part, record):
                run(row, search.rate(search.winner(record.losses(row))), seed)


def rows(part: Part) -> list[Row]:
    """Return the part's rows."""
    from benchmarks.study.optimizers import METHODS  # noqa: PLC0415 (it loads JAX)

    return [Row(part.steps, name, m, METHODS[name].schedule) for name, m in part.rows]


def best_rows(part: Part, record: Record) -> list[Row]:
    """Return each method's row with the lowest validation loss."""
    best: dict[str, Row] = {}
    for row in sorted(rows(part), key=lambda row: min(record.losses(row).values())):
        best.setdefault(row.method, row)
    return list(best.values())


if __name__ == "__main__":
    main()
