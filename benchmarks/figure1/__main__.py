"""Figure 1 of the paper: INDIAN in a V-shaped valley, in NumPy and through each adapter.

    python -m benchmarks.figure1                            # all that is installed
    python -m benchmarks.figure1 --framework numpy jax
    KERAS_BACKEND=jax python -m benchmarks.figure1 --framework keras

J(θ_1, θ_2) = 100 (θ_2 − |θ_1|)² + |1 − θ_1|, from (−1, 1.5), at rest, γ = 1e-4, in float64. The
settings are in settings.json, with the losses from an independent run of equation (11). (The paper
does not give the β of (a), and only says that it is too small.) Each framework runs in a separate
process and is compared with equation (11) in NumPy. Writes figure1.png, idea.png and figure1.json
(the numbers) to the output folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.figure1 import picture, valley
from benchmarks.figure1.valley import Panel
from benchmarks.harness import command, workers
from benchmarks.harness.files import leave, rounded, save

SETTINGS = Path(__file__).with_name("settings.json")
POINTS = 500  # of a curve, in the file
SWING = 0.01  # a change of a coordinate too small to count as an oscillation

Paths = dict[str, np.ndarray]


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    settings = json.loads(SETTINGS.read_text())
    options = _options(arguments, settings)
    workers.check_installed([name for name in options.framework if name != "numpy"])
    content = summary(settings, options, *_trace(settings, options))
    leave(options.output, "figure1", content, picture.picture(content))
    save(picture.idea(content), options.output / "idea.png")


def _trace(settings: dict[str, Any], options: argparse.Namespace) -> tuple[dict[str, str], Paths]:
    """Return each framework's versions and its paths in all panels, (points, panels, 2)."""
    panels = [Panel(**{f: panel[f] for f in Panel._fields}) for panel in settings["panels"]]
    (start,) = valley.PROBLEM.theta_0
    software: dict[str, str] = {}
    paths: Paths = {}
    for framework in tqdm(options.framework, unit="framework"):
        job = (framework, panels, settings["lr"], options.iterations, settings["every"])
        environment = workers.environment(framework) | {"JAX_ENABLE_X64": "1"}
        ((software[framework], path),) = workers.apart(valley.trace, [job], environment)
        paths[framework] = np.concatenate([np.tile(start, (1, len(panels), 1)), path])
    return software, paths


def summary(
    settings: dict[str, Any], options: argparse.Namespace, software: dict[str, str], paths: Paths
) -> dict[str, Any]:
    """Return the file's content: the settings, and each panel's curve and measures."""
    every = settings["every"]
    iterations = np.arange(len(paths["numpy"])) * every
    thin = slice(None, None, max(1, len(iterations) // POINTS))
    marks = [mark for mark in settings["marks"] if mark <= options.iterations]
    panels = []
    for i, panel in enumerate(settings["panels"]):
        path = paths["numpy"][:, i]
        distance = {
            framework: np.abs(other[:, i] - path).max(axis=1)
            for framework, other in paths.items()
            if framework != "numpy"
        }
        across, along = valley.across(path), path[:, 0]
        farthest = int(np.abs(path).max(axis=1).argmax())
        found = {
            "swings across": valley.swings(across, SWING),
            "travel across": valley.travel(across),
            "swings along": valley.swings(along, SWING),
            "travel along": valley.travel(along),
            "farthest point": path[farthest],
            "reached at": int(iterations[farthest]),
            "loss at marks": {
                framework: valley.losses(other[[mark // every for mark in marks], i])
                for framework, other in paths.items()
            },
        }
        differences = {"largest difference": {name: d.max() for name, d in distance.items()}}
        if "expected" in panel:  # it is one of the figure's own panels
            curve = path[thin]
            found |= dict(zip(("theta_1", "theta_2"), curve.T, strict=True))
            found["loss"] = valley.losses(curve)
            differences["difference"] = {name: d[thin] for name, d in distance.items()}
        panels.append(panel | rounded(found, 6) | rounded(differences, 3))
    return {
        "made by": "python -m benchmarks.figure1",
        "software": software,
        "lr": settings["lr"],
        "iterations": options.iterations,
        "marks": marks,
        "iteration": iterations[thin].tolist(),
        "panels": panels,
    }


def _options(arguments: Sequence[str] | None, settings: dict[str, Any]) -> argparse.Namespace:
    parser = command.parser("figure1", __doc__)
    add = parser.add_argument
    add(
        "--framework",
        nargs="+",
        choices=valley.FRAMEWORKS,
        metavar="NAME",
        help="of numpy, torch, keras and jax (all that are installed); KERAS_BACKEND chooses "
        "Keras's backend; numpy always runs, to compare with",
    )
    add("--iterations", type=int, default=settings["iterations"], metavar="N", help="(%(default)s)")
    options = parser.parse_args(arguments)
    every = settings["every"]
    if options.iterations <= 0 or options.iterations % every:
        parser.error(f"--iterations must be a positive multiple of {every}")
    asked = options.framework or _installed()
    options.framework = [name for name in valley.FRAMEWORKS if name == "numpy" or name in asked]
    return options


def _installed() -> list[str]:
    found = []
    for name in workers.FRAMEWORKS:
        with suppress(ImportError):
            workers.check_installed([name])
            found.append(name)
    return found


if __name__ == "__main__":
    main()
