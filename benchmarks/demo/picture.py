"""The demo's curves: one colour per optimizer, one line style per framework."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmarks.harness.figure import COLOURS, LINES, band
from benchmarks.harness.log import Result


def spread(results: Iterable[Result], optimizer: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest difference of this optimizer's training losses between frameworks.

    Returns:
        The epochs, and the largest loss minus the smallest one after each epoch, in nats.
    """
    chosen = [result for result in results if result.run.optimizer == optimizer]
    curves = [_curves(result) for result in chosen if result.run.seed == chosen[0].run.seed]
    return curves[0][0], np.ptp([loss for _, loss, _ in curves], axis=0)


def _curves(result: Result) -> np.ndarray:
    """Return the epochs, the training losses and the test accuracies in percent, (3, epochs)."""
    records = result.records
    return np.array([(r.epoch, r.train_loss, 100 * r.test_accuracy) for r in records]).T


def curves(results: Sequence[Result], data: str, compared: str) -> Figure:
    """Return a figure of loss, accuracy and the differences between frameworks.

    Args:
        results: Runs of several optimizers in up to three frameworks.
        data: The name of the data, for the title.
        compared: The optimizer whose loss curves are compared between frameworks.
    """
    first = results[0].run
    optimizers = list(dict.fromkeys(result.run.optimizer for result in results))
    software = {result.run.framework: result.software for result in results}
    colour = dict(zip(optimizers, COLOURS, strict=False))
    style = dict(zip(software, LINES, strict=False))
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    loss, accuracy, difference = figure.subplots(1, 3)
    for optimizer in optimizers:
        chosen = (optimizer, first.framework)
        seeds = np.array(
            [_curves(r) for r in results if (r.run.optimizer, r.run.framework) == chosen]
        )
        if len(seeds) > 1:
            for axes, quantity in ((loss, 1), (accuracy, 2)):
                band(axes, seeds[0, 0], seeds[:, quantity], colour[optimizer])
    for result in results:
        if result.run.seed == first.seed:
            line = {"color": colour[result.run.optimizer], **style[result.run.framework]}
            epochs, *both = _curves(result)
            for axes, values in zip((loss, accuracy), both, strict=True):
                axes.plot(epochs, values, **line)
    loss.set(yscale="log", ylabel="training loss", title="Training loss")
    # Showing the first epochs and diverged runs would squeeze everything else into the top.
    worst = min(record.test_accuracy for result in results for record in result.records[1:])
    limits = (100 * max(worst, 0.85) - 1, 100.3)
    accuracy.set(ylabel="test accuracy, %", title="Test accuracy", ylim=limits)
    difference.plot(*spread(results, compared), "o-", color=colour[compared], markersize=4)
    difference.set(
        yscale="log",
        ylabel="difference of the training losses",
        title=f"{compared}: largest difference between\n{', '.join(software)}",
    )
    for axes in (loss, accuracy, difference):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    handles = [Line2D([], [], color=colour[name], linewidth=3, label=name) for name in optimizers]
    handles += [
        Line2D([], [], color="0.3", label=versions, **style[framework])
        for framework, versions in software.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(optimizers), frameon=False)
    figure.suptitle(
        f"The same convolutional network on {data}, from the same weights (bands: other seeds)"
    )
    return figure
