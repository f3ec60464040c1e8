"""Why the adapters store a momentum: measures the effect of rounding on each form of INDIAN.

    python -m benchmarks.precision                  # on scikit-learn's digits
    python -m benchmarks.precision --data FOLDER    # four IDX files, of MNIST's format

The paper's form stores ψ, which is about as large as θ. The adapters store the momentum w, with
ψ = (1 − αβ) θ + β w. In exact arithmetic the two forms are the same. A perceptron is trained in
both, with a separate precision for each variable, from the same weights on the same minibatches.
Then θ is changed from outside in mid-run, as by a decay, a projection or a swap. All runs are in
JAX on the CPU. The settings are in settings.json. Prints tables, and writes precision.png and
precision.json to the output folder.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from benchmarks.harness import command, data, on_jax
from benchmarks.harness.files import leave, rounded
from benchmarks.precision import picture, studies, tables
from benchmarks.precision.forms import Rule, Variant

SETTINGS = Path(__file__).with_name("settings.json")

Row = dict[str, Any]


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    settings = json.loads(options.settings.read_text())
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")  # where float32 products are computed in float32
    dataset = data.load(options.data)
    study = studies.Study(dataset, tuple(settings["network"]), settings["batch_size"])
    content = {
        "made by": "python -m benchmarks.precision",
        "software": on_jax.VERSIONS,
        "data": dataset.name,
        "settings": settings,
        "seeds": options.seeds,
    } | measure(study, settings, options.seeds)
    print(tables.rounding(content["rounding"]), end="\n\n")
    print(tables.outside(content["outside"]))
    leave(options.output, "precision", content, picture.picture(content))


def measure(study: studies.Study, settings: dict[str, Any], seeds: int) -> dict[str, list[Row]]:
    """Return the rows of both studies, under a progress bar."""
    plan, changes = settings["rounding"], settings["outside"]
    steps = len(plan["variants"]) * plan["steps"]
    steps += 2 * (changes["steps"] + len(changes["changes"]) * changes["follow"])
    with tqdm(total=seeds * len(settings["dampings"]) * steps, unit="step") as bar:
        return {
            "rounding": list(_rounding(study, settings, seeds, bar.update)),
            "outside": list(_outside(study, settings, seeds, bar.update)),
        }


def _rounding(
    study: studies.Study, settings: dict[str, Any], seeds: int, on_steps: studies.OnSteps
) -> Iterator[Row]:
    plan = settings["rounding"]
    variants = [Variant(**fields) for fields in plan["variants"]]
    for rule in _rules(settings, "rounding"):

        def made(seed: int, rule: Rule = rule) -> Iterator[Row]:
            return studies.rounding(study, variants, rule, plan["steps"], seed, on_steps)

        head = {"alpha": rule.alpha, "beta": rule.beta}
        yield from _over_seeds([head | {"variant": str(one)} for one in variants], seeds, made)


def _outside(
    study: studies.Study, settings: dict[str, Any], seeds: int, on_steps: studies.OnSteps
) -> Iterator[Row]:
    plan = settings["outside"]
    for rule, form in itertools.product(_rules(settings, "outside"), ("psi", "momentum")):

        def made(seed: int, rule: Rule = rule, form: str = form) -> Iterator[Row]:
            return studies.outside(study, form, rule, plan["changes"], plan, seed, on_steps)

        head = {"alpha": rule.alpha, "beta": rule.beta, "form": form}
        changes = [head | {"change": change["name"]} for change in plan["changes"]]
        yield from _over_seeds(changes, seeds, made)


def _over_seeds(
    heads: Sequence[Row], seeds: int, made: Callable[[int], Iterable[Row]]
) -> Iterator[Row]:
    """Yield each head with the numbers of all seeds by name, None for NaN and infinity."""
    for head, found in zip(heads, zip(*map(made, range(seeds)), strict=True), strict=True):
        yield head | {name: rounded([one[name] for one in found], 6) for name in found[0]}


def _rules(settings: dict[str, Any], study: str) -> list[Rule]:
    lr, power = settings[study]["lr"], settings[study]["power"]
    return [
        Rule(lr, power, initial_speed=settings["initial_speed"], **damping)
        for damping in settings["dampings"]
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("precision", __doc__)
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of IDX files (default: scikit-learn's digits)")
    add("--seeds", type=command.positive, default=5, metavar="N", help="(%(default)s)")
    add("--settings", type=Path, default=SETTINGS, metavar="FILE", help="(settings.json)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
