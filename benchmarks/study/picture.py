"""The pictures of the study: each method's loss, and its sensitivity to the tuned numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness.figure import COLOURS
from benchmarks.study import summary

Contents = Sequence[Mapping[str, Any]]
SCHEDULE = "cosine"
ACROSS = 3  # panels in a row
OURS, THEIRS = COLOURS[0], COLOURS[1]
# The methods whose loss is drawn over the learning rate, and their colours.
RATES = {
    "SGD-Nesterov": COLOURS[1],
    "INDIAN, the paper's (.5, .1)": COLOURS[4],
    "INDIAN (.1, 2)": COLOURS[0],
    "AdamW": COLOURS[6],
    "NAdamW": COLOURS[5],
    "INNAprop.from_adam, d .3": COLOURS[3],
}
SWEPT = {
    "SGD-Nesterov": COLOURS[1],
    "INDIAN, d .3": COLOURS[0],
    "NAdamW": COLOURS[5],
    "INNAprop, d .3": COLOURS[3],
}


def comparison(contents: Contents, left_out: Sequence[str] = ()) -> Figure:
    """Return a panel for each workload: each method's mean loss, its error and its single runs."""
    methods = list(
        dict.fromkeys(
            cell["method"]
            for content in contents
            for cell in content["cells"]
            if cell["method"] not in left_out and cell["schedule"] == SCHEDULE
        )
    )
    figure = Figure(figsize=(3.2 + 2.6 * len(contents), 0.32 * len(methods) + 1.6))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(contents), squeeze=False, sharey=True)[0]
    for axes, content in zip(panels, contents, strict=True):
        _compared(axes, content, methods)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    figure.suptitle(
        "Training loss at equal budgets, cosine schedule: mean and standard error of the best of "
        "all trials, rerun (large),\nand the reruns of the best of eight, for each draw (small)"
    )
    return figure


def _compared(axes: Axes, content: Mapping[str, Any], methods: Sequence[str]) -> None:
    means = []
    for place, method in enumerate(methods):
        cell = summary.cell_of(content, method, SCHEDULE)
        if cell is None:
            continue
        colour = OURS if method.startswith(("INDIAN", "INNAprop")) else THEIRS
        last = summary.largest_budget(cell)
        found = summary.estimate(cell, last, "train loss")
        means.append(found.mean)
        axes.errorbar(found.mean, place, xerr=found.error, fmt="o", color=colour, markersize=6)
        few = [r["train loss"] for r in summary.records(cell, 8)]
        few = [math.nan if loss is None else loss for loss in few]
        axes.plot(few, [place] * len(few), ".", color=colour, alpha=0.45, markersize=4)
    finite = [mean for mean in means if math.isfinite(mean)]
    if finite:
        low, high = min(finite), np.quantile(finite, 0.85)
        axes.set_xlim(low - 0.1 * (high - low), high + 0.6 * (high - low))
    axes.set_title(content["workload"], fontsize="medium")
    axes.set_xlabel("training loss")
    axes.grid(alpha=0.3)


def sensitivity(contents: Contents) -> Figure:
    """Return the loss over the learning rate (above) and over the momentum, if swept (below)."""
    swept = [content for content in contents if summary.swept(content, SCHEDULE)]
    rows = [math.ceil(len(some) / ACROSS) for some in (contents, swept)]
    figure = Figure(figsize=(4.0 * ACROSS + 2.4, 3.7 * sum(rows)), layout="constrained")
    parts = (contents, swept) if swept else (contents,)
    drawings = (
        (_over_rates, "training loss of a trial"),
        (_over_momenta, "best over eight learning rates, rerun"),
    )
    places = figure.subfigures(len(parts), 1, height_ratios=rows[: len(parts)], squeeze=False)
    for place, part, height, (draw, label) in zip(
        places[:, 0], parts, rows, drawings, strict=False
    ):
        panels = place.subplots(height, ACROSS, squeeze=False)
        for axes in panels.flat[len(part) :]:
            axes.remove()
        for axes, content in zip(panels.flat, part, strict=False):
            draw(axes, content)
            axes.set_title(content["workload"])
        for axes in panels[:, 0]:
            axes.set_ylabel(label)
        last = panels.flat[min(len(part), ACROSS) - 1]
        if last.get_legend_handles_labels()[0]:
            last.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
    return figure


def _over_rates(axes: Axes, content: Mapping[str, Any]) -> None:
    lowest, start = [], []
    for method, colour in RATES.items():
        cell = summary.cell_of(content, method, SCHEDULE)
        if cell is None:
            continue
        order = np.argsort([value["lr"] for value in cell["values"]])
        rates = np.array([cell["values"][i]["lr"] for i in order])
        losses = np.array(
            [math.nan if cell["losses"][i] is None else cell["losses"][i] for i in order]
        )
        # The middle of each method's own three decades is at 1.
        axes.plot(rates / np.sqrt(rates[0] * rates[-1]), losses, ".-", color=colour, label=method)
        lowest.append(np.nanmin(losses))
        start.append(np.nanmax(losses))
    if lowest:
        axes.set_ylim(0.95 * min(lowest), min(3 * max(lowest), max(start)))
    axes.set(xscale="log", xlabel="learning rate / the middle of its three decades")
    axes.grid(alpha=0.3)


def _over_momenta(axes: Axes, content: Mapping[str, Any]) -> None:
    found = summary.swept(content, SCHEDULE)
    for name, colour in SWEPT.items():
        points = found.get(name, {})
        momenta = sorted(points)
        axes.errorbar(
            [1 - m for m in momenta],
            [points[m].mean for m in momenta],
            yerr=[points[m].error for m in momenta],
            fmt="o-",
            color=colour,
            capsize=3,
            label=name,
        )
    ticks = [0.2, 0.1, 0.05, 0.03, 0.01]
    axes.set(xscale="log", xlabel="momentum m (or β1)")
    axes.set_xticks(ticks, [f"{1 - tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.invert_xaxis()
    axes.grid(alpha=0.3)
