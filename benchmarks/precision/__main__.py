"""Why the adapters store a momentum: measures the effect of rounding on each form of INDIAN.

    python -m benchmarks.precision

The paper's form stores ψ, which is about as large as θ. The adapters store the momentum w, with
ψ = (1 − αβ) θ + β w. In exact arithmetic the two forms are the same. A perceptron is trained in
both, with a separate precision for each variable, from the same weights on the same minibatches.
Then θ is changed from outside in mid-run, as by a decay, a projection or a swap. All runs are in
JAX on the CPU, on scikit-learn's digits. The settings are in settings.json. Writes precision.png
and precision.json to the output folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from benchmarks.harness import command, data, on_jax
from benchmarks.harness.files import leave, rounded
from benchmarks.precision import picture, studies
from benchmarks.precision.forms import Rule, Variant

SETTINGS = Path(__file__).with_name("settings.json")

Row = dict[str, Any]


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = command.parser("precision", __doc__)
    add = parser.add_argument
    add("--seeds", type=command.positive, default=5, metavar="N", help="(%(default)s)")
    add("--settings", type=Path, default=SETTINGS, metavar="FILE", help="(settings.json)")
    options = parser.parse_args(arguments)
    settings = json.loads(options.settings.read_text())
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")  # where float32 products are computed in float32
    dataset = data.digits()
    study = studies.Study(dataset, tuple(settings["network"]), settings["batch_size"])
    content = {
        "made by": "python -m benchmarks.precision",
        "software": on_jax.VERSIONS,
        "data": dataset.name,
        "settings": settings,
        "seeds": options.seeds,
    } | measure(study, settings, range(options.seeds))
    leave(options.output, "precision", content, picture.picture(content))


def measure(
    study: studies.Study, settings: dict[str, Any], seeds: Sequence[int]
) -> dict[str, list[Row]]:
    """Return the rows of both studies."""
    plan, changes = settings["rounding"], settings["outside"]
    variants = [Variant(**fields) for fields in plan["variants"]]
    rows: dict[str, list[Row]] = {"rounding": [], "outside": []}
    for damping in tqdm(settings["dampings"]):
        fixed = {"initial_speed": settings["initial_speed"], **damping}
        rule = Rule(plan["lr"], plan["power"], **fixed)
        heads = [damping | {"variant": str(one)} for one in variants]
        found = [studies.rounding(study, variants, rule, plan["steps"], seed) for seed in seeds]
        rows["rounding"] += _over_seeds(heads, found)
        rule = Rule(changes["lr"], changes["power"], **fixed)
        for form in ("psi", "momentum"):
            head = damping | {"form": form}
            heads = [head | {"change": change["name"]} for change in changes["changes"]]
            found = [studies.outside(study, form, rule, changes, seed) for seed in seeds]
            rows["outside"] += _over_seeds(heads, found)
    return rows


def _over_seeds(heads: Sequence[Row], found: Sequence[Iterable[Row]]) -> Iterator[Row]:
    """Yield each head with the numbers of all seeds by name, None for NaN and infinity."""
    for head, rows in zip(heads, zip(*found, strict=True), strict=True):
        yield head | {name: rounded([row[name] for row in rows], 6) for name in rows[0]}


if __name__ == "__main__":
    main()
