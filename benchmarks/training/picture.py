"""The picture of a training study: a row per figure of the paper, loss and test accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.harness.figure import COLOURS, band


def picture(result: Mapping[str, Any], figures: Mapping[str, Any]) -> Figure:
    """Return mean curves over the seeds in a band from best to worst, as in the paper.

    Args:
        result: The content of the study's JSON file.
        figures: The figures in its settings. Cells that the result lacks are left out.
    """
    shown = {
        number: [cell for cell in content["cells"] if cell in result["cells"]]
        for number, content in figures.items()
    }
    shown = {number: cells for number, cells in shown.items() if cells}
    figure = Figure(figsize=(13.5, 4.2 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 2, squeeze=False)
    for (loss, accuracy), (number, cells) in zip(panels, shown.items(), strict=True):
        for cell, colour in zip(cells, COLOURS, strict=False):
            content = result["cells"][cell]
            label = f"{cell}, {content['lr']:g}"
            for axes, name, factor in (
                (loss, "training loss", 1),
                (accuracy, "test accuracy", 100),
            ):
                curves = factor * np.array(content[name], float)[:, 1:]
                epochs = np.arange(curves.shape[1]) + 1
                axes.plot(epochs, curves.mean(axis=0), color=colour, label=label)
                band(axes, epochs, curves, colour)
        loss.set(yscale="log", ylabel="training loss", title=figures[number]["title"])
        accuracy.set(ylabel="test accuracy, %")
        finals = [
            100 * curve[-1] for cell in cells for curve in result["cells"][cell]["test accuracy"]
        ]
        # Showing the first epoch and diverged runs would squeeze the rest into the top.
        accuracy.set_ylim(max(np.median(finals) - 6, 0), max(finals) + 0.5)
        accuracy.legend(
            *loss.get_legend_handles_labels(),
            title="mean, best to worst;\ninitial step size",
            fontsize="small",
            loc="upper left",
            bbox_to_anchor=(1, 1),
        )
        for axes in (loss, accuracy):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3, which="both" if axes is loss else "major")
    seeds = len(result["seeds"])
    figure.suptitle(f"{result['network']} on {result['data']}: {seeds} seeds, {result['software']}")
    return figure
