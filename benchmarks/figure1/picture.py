"""The picture of `figure1`: trajectories above, losses and differences below."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure1 import valley
from benchmarks.harness.figure import COLOURS, LINES

# The area shown, and the values of J whose level sets are drawn.
LIMITS = ((-1.6, 1.75), (-0.35, 1.75))
LEVELS = np.geomspace(0.1, 300, 10)


def picture(content: dict[str, Any]) -> Figure:
    """Return the figure of the content that `figure1.summary` returns."""
    panels = [panel for panel in content["panels"] if "expected" in panel]
    colour = {panel["name"]: each for panel, each in zip(panels, COLOURS, strict=False)}
    figure = Figure(figsize=(13, 7.2), layout="constrained")
    names = list(colour)
    axes = figure.subplot_mosaic(
        [[name for name in names for _ in range(4)], ["loss"] * 7 + ["difference"] * 5],
        height_ratios=(1, 1.1),
    )
    for panel in panels:
        _trajectory(axes[panel["name"]], panel, colour[panel["name"]])
    _losses(axes["loss"], content, panels, colour)
    _differences(axes["difference"], content, panels, colour)
    return figure


def idea(content: dict[str, Any]) -> Figure:
    """Return panels (a) and (b) alone, for a page that 720 pixels are wide enough for."""
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    panels = [panel for panel in content["panels"] if "expected" in panel][:2]
    titles = ("little damping: it swings", "more damping: it follows the floor")
    for axes, panel, title, colour in zip(
        figure.subplots(1, 2, sharey=True), panels, titles, COLOURS, strict=False
    ):
        _trajectory(axes, panel, colour)
        axes.set(title=title, xlabel="", ylabel="", xticks=[], yticks=[])
    return figure


def _trajectory(axes: Axes, panel: dict[str, Any], colour: str) -> None:
    x, y = (np.linspace(*limits, 400) for limits in LIMITS)
    points = np.stack(np.meshgrid(x, y), axis=-1)
    axes.contour(x, y, valley.losses(points), LEVELS, colors="0.75", linewidths=0.7)
    axes.plot(panel["theta_1"], panel["theta_2"], color=colour, linewidth=1.6)
    axes.plot(panel["theta_1"][0], panel["theta_2"][0], "kx", markersize=9, markeredgewidth=2)
    axes.plot(1, 1, "k*", markersize=10)
    axes.set(
        title=f"{_title(panel)}\nturns back {panel['swings across']} × across the valley, "
        f"{panel['swings along']} × along it",
        xlabel=r"$\theta_1$",
        ylabel=r"$\theta_2$",
        aspect="equal",
    )
    axes.axis([*LIMITS[0], *LIMITS[1]])


def _title(panel: dict[str, Any]) -> str:
    return rf"{panel['name']} $\alpha$ = {panel['alpha']:g}, $\beta$ = {panel['beta']:g}"


def _losses(
    axes: Axes, content: dict[str, Any], panels: list[dict[str, Any]], colour: dict[str, str]
) -> None:
    for panel in panels:
        line = {"color": colour[panel["name"]], "linewidth": 1.6, "label": _title(panel)}
        axes.plot(content["iteration"], panel["loss"], **line)
    axes.set(yscale="log", xlabel="iteration", ylabel=r"$J(\theta_1, \theta_2)$", title="Loss")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")


def _differences(
    axes: Axes, content: dict[str, Any], panels: list[dict[str, Any]], colour: dict[str, str]
) -> None:
    """Draw each framework's distance from NumPy's path: a colour a panel, a line a framework."""
    others = list(panels[0]["difference"])
    for framework, line in zip(others, LINES, strict=False):
        for panel in panels:
            # At the start the difference is zero, which a logarithmic axis cannot show.
            distance = np.array(panel["difference"][framework])
            distance[distance == 0] = np.nan
            axes.plot(content["iteration"], distance, color=colour[panel["name"]], **line)
        axes.plot([], [], color="0.3", label=content["software"][framework], **line)
    axes.set(
        yscale="log",
        xlabel="iteration",
        ylabel="largest difference in θ",
        title="Every framework against equation (11) in NumPy",
    )
    axes.grid(alpha=0.3)
    if others:
        axes.legend(fontsize=9)
