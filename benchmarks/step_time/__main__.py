"""Measures the time of one step of INDIAN, compared with each framework's own optimizers.

    python -m benchmarks.step_time --framework torch
    python -m benchmarks.step_time --framework torch --device cuda
    python -m benchmarks.step_time --framework keras --backend jax
    python -m benchmarks.step_time --framework torch --training   # whole training steps

All contenders make steps in turn, so that other load on the machine affects them equally. They are
built several times, because an array's place in memory can cost a tenth of a step. The medians go
into a table and a small JSON file. Ratios are ratios of medians.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import importlib
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import Any

from benchmarks.harness import command, files, tables
from benchmarks.step_time.contenders import Contender
from benchmarks.step_time.shapes import BATCHES, SHAPES, WIDTHS, numbers, perceptron

DISTRIBUTIONS = {
    "torch": ("torch",),
    "keras": ("keras",),
    "jax": ("jax", "jaxlib", "optax"),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
}
WARM_UP = 3
# The first words of the contenders that get ratios.
OURS = ("INDIAN", "INNAprop", "DampedSGD", "DampedAdamW")


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.device == "cpu":
        _on_one_processor()
    if options.framework == "keras":
        os.environ["KERAS_BACKEND"] = options.backend
    module = importlib.import_module(
        f"benchmarks.step_time.contenders.{options.framework}_contenders"
    )
    if options.device == "cuda" and not _sees_gpu(options.backend or options.framework):
        raise RuntimeError(f"{options.framework} sees no GPU")
    sets = {}
    for name in BATCHES if options.training else options.shapes:
        if options.training:
            what, baselines, shapes = "whole-step", module.TRAINING_BASELINES, perceptron()
            make = functools.partial(module.training, WIDTHS, BATCHES[name])
        else:
            what, baselines, shapes = "step-time", module.BASELINES, SHAPES[name]
            make = functools.partial(module.contenders, shapes)
        sets[name] = {
            "numbers": numbers(shapes),
            "tensors": len(shapes),
            "contenders": _contenders(make, options),
        }
        print(table(name, sets[name], baselines), end="\n\n")
    result = {
        "framework": options.framework,
        "backend": options.backend,
        "device": options.device,
        "builds": options.builds,
        "versions": _versions(options),
        "baselines": list(baselines),
        "sets": sets,
    }
    stem = "-".join(filter(None, [what, options.framework, options.backend, options.device]))
    path = options.output / f"{stem}.json"
    files.write(path, result)
    print(path)


def _contenders(make: Callable[[], Iterable[Contender]], options: argparse.Namespace) -> Any:
    """Return the row of each contender, taken over all builds."""
    times: dict[str, list[float]] = {}
    for seed in range(options.builds):
        rivals = list(make())
        found = measure(rivals, options.repeats, options.seconds / options.builds, seed)
        for name, each in found.items():
            times.setdefault(name, []).extend(each)
        state_bytes = {rival.name: rival.state_bytes for rival in rivals}
        del rivals
        gc.collect()
    return {name: _summary(times[name]) | {"state_bytes": n} for name, n in state_bytes.items()}


def measure(
    contenders: Sequence[Contender], repeats: int, seconds: float, seed: int = 0
) -> dict[str, list[float]]:
    """Return every contender's step times, in seconds.

    Args:
        contenders: The contenders. They take turns, in an order that is drawn anew for every round,
            so that what the previous one left in the caches is equally random for all.
        repeats: The smallest number of rounds.
        seconds: The time for which rounds go on at least.
        seed: The seed of the order.
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
    contenders = result["contenders"]
    rows = []
    for contender, row in sorted(contenders.items(), key=lambda item: item[1]["median_ms"]):
        median = row["median_ms"]
        speed = f"{2 * 4 * result['numbers'] / median / 1e6:.1f}"
        ratios = {
            f"/ {one}": f"{median / contenders[one]['median_ms']:.2f}" * contender.startswith(OURS)
            for one in baselines
        }
        rows.append(
            {
                f"{name}: {result['numbers']:,} numbers in {result['tensors']} tensors": contender,
                "ms a step": f"{median:.3f}",
                "GB/s copied": speed * (contender == "copy"),
                "bytes of state": f"{row['state_bytes']:,}",
            }
            | ratios
        )
    return tables.table(rows)


def _sees_gpu(framework: str) -> bool:
    found = importlib.import_module(framework)
    if framework == "torch":
        return bool(found.cuda.is_available())
    if framework == "jax":
        return bool(found.default_backend() != "cpu")
    return bool(found.config.list_physical_devices("GPU"))


def _on_one_processor() -> None:
    # Call this before the framework is imported, because most frameworks read the variables only
    # once. JAX reads none of them, but no framework can use more threads than it has processors.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[variable] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])


def _versions(options: argparse.Namespace) -> dict[str, str]:
    wanted = {*DISTRIBUTIONS[options.framework], *DISTRIBUTIONS.get(options.backend, ())}
    versions = {}
    for name in sorted(wanted):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("step_time", __doc__)
    add = parser.add_argument
    add("--framework", choices=["torch", "keras", "jax"], required=True)
    add("--backend", choices=["tensorflow", "jax", "torch"], help="of Keras (and only there)")
    add("--device", choices=["cpu", "cuda"], default="cpu")
    add("--repeats", type=int, default=30, help="rounds at the least (%(default)s)")
    add("--seconds", type=float, default=10.0, help="for each set at the least (%(default)s)")
    add("--builds", type=int, default=3, help="times that all is built anew (%(default)s)")
    add("--shapes", nargs="+", choices=list(SHAPES), default=["ResNet-50"])
    add("--training", action="store_true", help="whole training steps of a perceptron")
    options = parser.parse_args(arguments)
    if (options.framework == "keras") != (options.backend is not None):
        parser.error("--backend belongs to --framework keras, which needs it")
    if options.builds < 1 or options.repeats < 2:
        parser.error("--builds must be at least 1 and --repeats at least 2")
    return options


if __name__ == "__main__":
    main()
