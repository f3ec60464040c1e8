"""The pictures of the study: the grids side by side, and one panel for the front page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness.figure import COLOURS
from benchmarks.study import search, summary
from benchmarks.study.parts import ADAMS, SGDS
from benchmarks.study.record import Record

# The front page's methods and their colours.
FRONT = {
    "AdamW": (COLOURS[0], "s"),
    "NAdamW": (COLOURS[4], "^"),
    "DampedAdamW": (COLOURS[1], "o"),
}
WORST = 10  # percent above the best, where the colours of the grids end


def grids(records: Mapping[str, Record]) -> Figure:
    """Return a row for each length: the validation loss by momentum and rate, a panel a method.

    A length is shown if all methods of its family were searched.
    """
    shown = [
        (record, steps, family)
        for record, family in ((records["text"], ADAMS), (records["images"], SGDS))
        for steps in summary.lengths(record)
        if set(family) <= set(summary.methods(record, steps))
        and summary.grid(record, steps, family)[family[0]]
    ]
    figure = Figure(figsize=(12, 2.4 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), len(ADAMS), squeeze=False)
    for across, (record, steps, names) in zip(panels, shown, strict=True):
        found = summary.grid(record, steps, names)
        lowest = min(min(losses.values()) for losses in found.values())
        for axes, name in zip(across, names, strict=False):
            image = _grid(axes, found[name], lowest, name)
            axes.set_title(f"{name}, {steps:,} steps", fontsize="medium")
        for axes in across[len(names) :]:
            axes.set_axis_off()
        across[0].set_ylabel(f"{record.head['workload']}\nmomentum")
    figure.colorbar(image, ax=panels, label="percent above the row's lowest", shrink=0.6)
    return figure


def _grid(
    axes: Axes, losses: Mapping[tuple[float, int], float], lowest: float, name: str
) -> object:
    momenta = sorted({momentum for momentum, _ in losses})
    places = sorted({k for _, k in losses})
    table = np.array([[losses[m, k] for k in places] for m in momenta])
    above = 100 * (table / lowest - 1)
    image = axes.imshow(above, cmap="viridis_r", vmin=0, vmax=WORST, aspect="auto")
    for i, j in np.ndindex(table.shape):
        text = f"{table[i, j]:.3f}" if np.isfinite(table[i, j]) else "diverged"
        colour = "white" if not above[i, j] < WORST / 2 else "black"
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize="small")
    axes.set_yticks(range(len(momenta)), [f"{m:g}" for m in momenta])
    axes.set_xticks(range(len(places)), [f"{search.rate(k):g}" for k in places])
    axes.set_xlabel("lr / (1 − m)" if name in SGDS else "learning rate", fontsize="small")
    return image


def front(record: Record, steps: int) -> Figure:
    """Return one panel: the validation loss over the memory.

    A line is at each memory's best rate, and its area reaches to the worse of about half and twice
    that rate.
    """
    figure = Figure(figsize=(7.2, 4.3), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for name, (colour, marker) in FRONT.items():
        best = [summary.best_rate(record, row) for row in summary.rows(record, steps, [name])]
        memory = [1 / (1 - each.row.momentum) for each in best]
        losses = [each.searched for each in best]
        near = [max(_beside(record, each)) for each in best]
        axes.fill_between(memory, losses, near, color=colour, alpha=0.18, linewidth=0)
        axes.plot(memory, losses, color=colour, marker=marker, label=name, linewidth=2)
    axes.set(xscale="log", xlabel="memory of the momentum in steps: 1 / (1 − β1)")
    axes.set_xticks(memory, [f"{round(each):d}" for each in memory])
    axes.minorticks_off()
    axes.set_ylabel("validation loss")
    axes.set_title(
        f"A small transformer after {steps:,} steps. Line: the best learning rate\n"
        "of each memory; area: up to the worse of about half and twice that",
        fontsize="medium",
        loc="left",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", frameon=False)
    return figure


def _beside(record: Record, best: summary.Best) -> list[float]:
    """Return the losses an octave below and above a best rate, or where not tried, half of one."""
    losses, k = record.losses(best.row), search.place(best.rate)
    found = []
    for sign in (-1, 1):
        tried = [shift for shift in (2, 1, 3) if k + sign * shift in losses]
        found.append(losses[k + sign * tried[0]])
    return found
