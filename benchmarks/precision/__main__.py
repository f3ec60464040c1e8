"""Why the adapters store a momentum: what rounding does to each form of INDIAN, measured.

    python -m benchmarks.precision                      # on scikit-learn's digits, in JAX
    python -m benchmarks.precision --framework torch --seeds 1
    python -m benchmarks.precision --data FOLDER        # four IDX files, of MNIST's format

The paper's form stores ψ, which is about as large as θ; the adapters store the momentum w, with
ψ = (1 − αβ) θ + β w. In exact arithmetic they are the same. A perceptron is trained in both, with
each variable in a precision of its own, from the same weights on the same minibatches; and θ is
changed from outside in mid-run, as by a decay, a projection or a swap. All of it on the CPU, where
products of float32 are in float32. The settings are in settings.json. Prints tables, and leaves
precision.png and precision.json in the output folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.harness import RESULTS, apart, command, data, workers
from benchmarks.harness.numbers import rounded
from benchmarks.precision import forms, tables
from benchmarks.precision.forms import Rule, Variant, studies

HERE = Path(__file__).parent
SETTINGS = HERE / "settings.json"

Rows = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    # Its kernels are short: a second thread would take longer to wake than to work.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ |= apart.DEVICES["cpu"]
    try:
        settings = json.loads(options.settings.read_text())
        workers.check_installed([options.framework])
        dataset = data.load(options.data)
        study = studies.Study(
            options.framework, dataset, tuple(settings["network"]), settings["batch_size"]
        )
        content = {
            "made by": f"python -m benchmarks.precision --framework {options.framework}",
            "software": forms.module(options.framework).VERSIONS,
            "data": dataset.name,
            "settings": settings,
            "seeds": options.seeds,
        } | measure(study, settings, options.seeds)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "precision.json").write_text(json.dumps(content, allow_nan=False) + "\n")
    print(tables.rounding(content["rounding"]), end="\n\n")
    print(tables.outside(content["outside"]))

    from benchmarks.harness.figure import save  # noqa: PLC0415 (they take a while to load)
    from benchmarks.precision.picture import picture  # noqa: PLC0415

    save(picture(content), options.output / "precision.png")
    print(f"\n{options.output / 'precision'}.json and .png")


def measure(study: studies.Study, settings: dict[str, Any], seeds: int) -> dict[str, Rows]:
    """Return the rows of both studies, under a progress bar."""
    plan, changes = settings["rounding"], settings["outside"]
    steps = len(plan["variants"]) * plan["steps"]
    steps += 2 * (changes["steps"] + len(changes["changes"]) * changes["follow"])
    with tqdm(total=seeds * len(settings["dampings"]) * steps, unit="step") as bar:
        return {
            "rounding": list(_rounding(study, settings, seeds, bar)),
            "outside": list(_outside(study, settings, seeds, bar)),
        }


def _rounding(
    study: studies.Study, settings: dict[str, Any], seeds: int, bar: Any
) -> Iterator[dict[str, Any]]:
    bar.set_description("rounding")
    plan = settings["rounding"]
    variants = [Variant(**fields) for fields in plan["variants"]]
    for rule in _rules(settings, "rounding"):
        by_seed = [
            list(studies.rounding(study, variants, rule, plan["steps"], seed, bar.update))
            for seed in range(seeds)
        ]
        for variant, found in zip(variants, zip(*by_seed, strict=True), strict=True):
            yield {"alpha": rule.alpha, "beta": rule.beta, "variant": str(variant)} | _columns(
                found
            )


def _outside(
    study: studies.Study, settings: dict[str, Any], seeds: int, bar: Any
) -> Iterator[dict[str, Any]]:
    bar.set_description("changes")
    plan = settings["outside"]
    for rule in _rules(settings, "outside"):
        for form in ("psi", "momentum"):
            by_seed = [
                list(studies.outside(study, form, rule, plan["changes"], plan, seed, bar.update))
                for seed in range(seeds)
            ]
            for change, found in zip(plan["changes"], zip(*by_seed, strict=True), strict=True):
                row = {"alpha": rule.alpha, "beta": rule.beta, "form": form}
                yield row | {"change": change["name"]} | _columns(found)


def _rules(settings: dict[str, Any], study: str) -> list[Rule]:
    lr, power = settings[study]["lr"], settings[study]["power"]
    return [
        Rule(lr, power, initial_speed=settings["initial_speed"], **damping)
        for damping in settings["dampings"]
    ]


def _columns(found: Sequence[dict[str, float]]) -> dict[str, list[float | None]]:
    """Return the numbers of all seeds by name, null for NaN and infinity."""
    return {name: [rounded(one[name], digits=6) for one in found] for name in found[0]}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("precision", __doc__)
    add = parser.add_argument
    add("--framework", choices=forms.FRAMEWORKS, default="jax", help="(%(default)s)")
    add("--data", metavar="DIR", help="folder of IDX files (default: scikit-learn's digits)")
    add("--seeds", type=command.positive, default=5, metavar="N", help="(%(default)s)")
    add("--settings", type=Path, default=SETTINGS, metavar="FILE", help="(settings.json)")
    add("--output", type=Path, default=RESULTS, metavar="DIR", help="(%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
