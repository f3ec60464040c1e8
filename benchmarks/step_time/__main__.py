"""Measures how long one step of INDIAN takes beside each framework's own optimizers.

    python -m benchmarks.step_time --framework torch
    python -m benchmarks.step_time --framework torch --device cuda
    python -m benchmarks.step_time --framework keras --backend jax --threads 1
    python -m benchmarks.step_time --framework torch --training   # whole training steps

All contenders make steps in turn, so that whatever else the machine does hits them alike, and are
built several times over, since where an array happens to lie in memory can cost a tenth of a step.
The medians go into a table, a small JSON file and a PNG; ratios are those of the medians.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import random
import statistics
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, command
from benchmarks.step_time.contenders import Contender
from benchmarks.step_time.shapes import BATCHES, SHAPES, WIDTHS, numbers, perceptron

DISTRIBUTIONS = {
    "torch": ("torch",),
    "keras": ("keras",),
    "jax": ("jax", "jaxlib", "optax"),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
}
WARM_UP = 3
OURS = ("INDIAN", "INNAprop")  # how the contenders begin that get ratios


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.device == "cpu":
        _set_threads(options.threads)
    if options.framework == "keras":
        os.environ["KERAS_BACKEND"] = options.backend
    module = importlib.import_module(
        f"benchmarks.step_time.contenders.{options.framework}_contenders"
    )

    baselines = module.TRAINING_BASELINES if options.training else module.BASELINES
    sets = {}
    for name in BATCHES if options.training else options.shapes:
        shapes = perceptron() if options.training else SHAPES[name]
        pools = []
        for seed in range(options.builds):
            where = options.device, options.backend
            rivals = list(
                module.training(WIDTHS, BATCHES[name], *where)
                if options.training
                else module.contenders(shapes, *where)
            )
            pools.append(measure(rivals, options.repeats, options.seconds / options.builds, seed))
            state_bytes = {rival.name: rival.state_bytes for rival in rivals}
            del rivals
            gc.collect()
        sets[name] = {
            "numbers": numbers(shapes),
            "tensors": len(shapes),
            "contenders": {
                rival: {**_summary([t for pool in pools for t in pool[rival]]), "state_bytes": size}
                for rival, size in state_bytes.items()
            },
        }
        print(table(name, sets[name], baselines), end="\n\n")

    result = {
        "framework": options.framework,
        "backend": options.backend,
        "device": options.device,
        "threads": options.threads,
        "builds": options.builds,
        "versions": _versions(options),
        "baselines": list(baselines),
        "sets": sets,
    }
    what = "whole-step" if options.training else "step-time"
    stem = "-".join(filter(None, [what, options.framework, options.backend, options.device]))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n")
    plot(result, options.output / f"{stem}.png")
    print(f"{options.output / stem}.json and .png")


def measure(
    contenders: Sequence[Contender], repeats: int, seconds: float, seed: int = 0
) -> dict[str, list[float]]:
    """Return every contender's step times, in seconds.

    Args:
        contenders: They take turns, in an order that is drawn anew for every round: what the one
            before has left in the caches is a matter of chance, the same for all.
        repeats: Rounds at the least.
        seconds: Rounds go on until this much time has passed.
        seed: Of the order.
    """
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        for _ in range(WARM_UP):
            contender.step()
    order = random.Random(seed)
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        rounds = 0
        while rounds < repeats or time.perf_counter() - start < seconds:
            for contender in order.sample(contenders, len(contenders)):
                before = time.perf_counter()
                contender.step()
                times[contender.name].append(time.perf_counter() - before)
            rounds += 1
    finally:
        gc.enable()
    return times


def _summary(seconds: list[float]) -> dict[str, Any]:
    lower, median, upper = statistics.quantiles(seconds, n=4)
    return {
        "median_ms": round(1e3 * median, 4),
        "quartiles_ms": [round(1e3 * lower, 4), round(1e3 * upper, 4)],
        "steps": len(seconds),
    }


def table(name: str, result: dict[str, Any], baselines: Iterable[str]) -> str:
    """Return the table of one set of parameters, sorted by time."""
    rows = result["contenders"]
    header = ["", "ms a step", "GB/s copied", "bytes of state"]
    header += [f"/ {baseline}" for baseline in baselines]
    lines = [header]
    for contender, row in sorted(rows.items(), key=lambda item: item[1]["median_ms"]):
        speed = 2 * 4 * result["numbers"] / row["median_ms"] / 1e6
        line = [contender, f"{row['median_ms']:.3f}"]
        line += [f"{speed:.1f}" if contender == "copy" else "", f"{row['state_bytes']:,}"]
        for baseline in baselines:
            ratio = row["median_ms"] / rows[baseline]["median_ms"]
            line.append(f"{ratio:.2f}" if contender.startswith(OURS) else "")
        lines.append(line)
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = [f"{name}: {result['numbers']:,} numbers in {result['tensors']} tensors"]
    for line in lines:
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        text.append("  ".join([first.strip().ljust(widths[0]), *others]))
    return "\n".join(text)


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw the medians as bars with their quartiles, one panel for each set of parameters."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    names = list(result["sets"])
    figure, panels = plt.subplots(
        1, len(names), figsize=(5.2 * len(names), 4.2), layout="constrained", squeeze=False
    )
    for panel, name in zip(panels[0], names, strict=True):
        rows = result["sets"][name]["contenders"]
        order = sorted(rows, key=lambda contender: -rows[contender]["median_ms"])
        medians = [rows[contender]["median_ms"] for contender in order]
        spread = [
            [abs(rows[c]["median_ms"] - rows[c]["quartiles_ms"][side]) for c in order]
            for side in (0, 1)
        ]
        colours = ["tab:orange" if c.startswith(OURS) else "tab:gray" for c in order]
        panel.barh(order, medians, xerr=spread, color=colours, error_kw={"linewidth": 1})
        panel.set_title(name)
        panel.set_xlabel("ms a step (median, quartiles)")
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _set_threads(threads: int) -> None:
    # Before the framework is imported: most read the variables only once. JAX reads none of them,
    # but no framework can use more threads than the processors that it may run on.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[variable] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        if threads > len(available):
            raise SystemExit(f"--threads {threads}: there are {len(available)} processors")
        os.sched_setaffinity(0, available[-threads:])


def _versions(options: argparse.Namespace) -> dict[str, str]:
    wanted = {*DISTRIBUTIONS[options.framework], *DISTRIBUTIONS.get(options.backend, ())}
    versions = {}
    for name in sorted(wanted):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("step_time", __doc__)
    parser.add_argument("--framework", choices=["torch", "keras", "jax"], required=True)
    parser.add_argument(
        "--backend", choices=["tensorflow", "jax", "torch"], help="of Keras (and only there)"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="on the CPU (default: 1)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds at the least (default: 30)")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="for each set at the least (default: 10)"
    )
    parser.add_argument(
        "--builds", type=int, default=3, help="times that all is built anew (default: 3)"
    )
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument(
        "--training", action="store_true", help="whole training steps of a perceptron"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="a folder")
    options = parser.parse_args(arguments)
    if (options.framework == "keras") != (options.backend is not None):
        parser.error("--backend belongs to --framework keras, which needs it")
    if options.threads < 1 or options.builds < 1 or options.repeats < 2:
        parser.error("--threads and --builds must be at least 1 and --repeats at least 2")
    return options


if __name__ == "__main__":
    main()
