"""Collects the measured step times of all frameworks into one picture.

    python -m benchmarks.step_time.picture

Reads every step-time-*.json in the results folder. For ResNet-50's parameters, draws the time of a
step of INDIAN and INNAprop, and of the framework's own SGD with Nesterov momentum, Adam and AdamW.
All are divided by the time of INDIAN's memory traffic. INDIAN and SGD read θ, a buffer and the
gradient, and write θ and the buffer. That is five streams, or two and a half copies at the speed at
which the same run copied the parameters. Adam, AdamW and INNAprop move seven streams. (A copy may
also read what it overwrites, so a step in place can take less than 1.)
Writes step-times.png.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.harness import command
from benchmarks.harness.figure import COLOURS
from benchmarks.harness.files import save

SHAPES = "ResNet-50"
# INDIAN and SGD with Nesterov momentum move five streams; INNAprop, Adam and AdamW move seven.
LABELS = ("INDIAN", "SGD", "Adam", "INNAprop", "AdamW")
COPIES = 2.5  # five streams; a copy moves two


@command.in_words()
def main(arguments: Sequence[str] | None = None) -> None:
    folder = command.parser("step_time.picture", __doc__).parse_args(arguments).output
    rows = collect(folder)
    if not rows:
        raise ValueError(f"Invalid output: {str(folder)!r} (it has no step times of {SHAPES})")
    save(picture(rows), folder / "step-times.png")
    print(folder / "step-times.png")


def collect(folder: Path) -> dict[str, dict[str, float]]:
    """Return, for each file, the step times of ours and the baselines, divided by the limit."""
    rows = {}
    for path in sorted(folder.glob("step-time-*.json")):
        result = json.loads(path.read_text())
        if SHAPES in result["sets"]:
            where = result["framework"] + (f" on {result['backend']}" if result["backend"] else "")
            rows[f"{where}, {result['device']}"] = _over_the_limit(result)
    return rows


def _over_the_limit(result: dict[str, Any]) -> dict[str, float]:
    contenders = result["sets"][SHAPES]["contenders"]
    limit = COPIES * contenders["copy"]["median_ms"]
    # Ours are shown in the same mode as the baselines: fused, jit or another.
    mode = result["baselines"][0].partition("(")[2]
    ours = [
        next(n for n in contenders if n.startswith(name) and n.partition("(")[2] == mode)
        for name in ("INDIAN", "INNAprop")
        if any(n.startswith(name) for n in contenders)
    ]
    theirs = list(result["baselines"])
    if len(theirs) > 2:
        # AdamW is the framework's fastest, so that a slow one does not make ours look fast.
        stem = theirs[2].partition(" (")[0]
        alike = [name for name in contenders if name.partition(" (")[0] == stem]
        theirs[2] = min(alike, key=lambda name: contenders[name]["median_ms"])
    names = [ours[0], *theirs[:2], *ours[1:], *theirs[2:]]
    return {
        label: contenders[name]["median_ms"] / limit
        for label, name in zip(LABELS, names, strict=False)
    }


def picture(rows: dict[str, dict[str, float]]) -> Figure:
    """Return the bars, with a group per file."""
    figure = Figure(figsize=(1.5 + 2.6 * len(rows), 4.4), layout="constrained")
    axes = figure.subplots()
    for i, (label, colour) in enumerate(zip(LABELS, COLOURS, strict=False)):
        heights = [times.get(label, 0.0) for times in rows.values()]
        places = [group + 0.17 * (i - 2) for group in range(len(rows))]
        bars = axes.bar(places, heights, 0.16, color=colour, label=label)
        axes.bar_label(bars, fmt="%.2f", fontsize="small")
    axes.axhline(1, color="0.3", linewidth=1)
    axes.set_xticks(range(len(rows)), [where.replace(", ", "\n") for where in rows])
    # The axis is logarithmic, or the slowest would hide all others.
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("time of a step / its memory traffic")
    axes.set_title(f"{SHAPES}'s parameters: five streams at the speed of a copy are 1")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.margins(y=0.15)
    return figure


if __name__ == "__main__":
    main()
