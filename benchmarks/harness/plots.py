"""Curves of runs: one colour per optimizer, one line style per framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .figure import COLOURS, LINES
from .log import Result
from .runs import Record


def spread(results: Iterable[Result], optimizer: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest difference of this optimizer's training losses between frameworks.

    Returns:
        The epochs, and the largest loss minus the smallest one after each: absolute, in nats.
    """
    chosen = [result for result in results if result.run.optimizer == optimizer]
    runs = [result.records for result in chosen if result.run.seed == chosen[0].run.seed]
    loss = np.array([[record.train_loss for record in records] for records in runs])
    return np.array([record.epoch for record in runs[0]]), np.ptp(loss, axis=0)


def curves(results: Sequence[Result], data: str, compared: str) -> Figure:
    """Return a figure of loss, accuracy and the differences between frameworks.

    Args:
        results: Runs of several optimizers in up to three frameworks.
        data: The name of the data, for the title.
        compared: The optimizer whose loss curves are compared between frameworks.
    """
    optimizers = list(dict.fromkeys(result.run.optimizer for result in results))
    software = {result.run.framework: result.software for result in results}
    colour = dict(zip(optimizers, COLOURS, strict=False))
    style = dict(zip(software, LINES, strict=False))
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    loss, accuracy, difference = figure.subplots(1, 3)
    first_seed = results[0].run.seed
    for optimizer in optimizers:
        seeds = [
            result.records
            for result in results
            if (result.run.optimizer, result.run.framework) == (optimizer, results[0].run.framework)
        ]
        if len(seeds) > 1:
            _band(loss, seeds, lambda record: record.train_loss, colour[optimizer])
            _band(accuracy, seeds, lambda record: 100 * record.test_accuracy, colour[optimizer])
    for result in results:
        if result.run.seed != first_seed:
            continue
        line = {"color": colour[result.run.optimizer], **style[result.run.framework]}
        epochs = [record.epoch for record in result.records]
        loss.plot(epochs, [record.train_loss for record in result.records], **line)
        accuracy.plot(epochs, [100 * record.test_accuracy for record in result.records], **line)
    loss.set(yscale="log", ylabel="training loss", title="Training loss")
    # The first epochs, and diverged runs, would squeeze everything else into the top.
    worst = min(record.test_accuracy for result in results for record in result.records[1:])
    accuracy.set(
        ylabel="test accuracy, %", title="Test accuracy", ylim=(100 * max(worst, 0.85) - 1, 100.3)
    )
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


def _band(
    axes: Any,
    seeds: Sequence[Sequence[Record]],
    value: Callable[[Record], float],
    colour: str,
) -> None:
    values = np.array([[value(record) for record in records] for records in seeds])
    axes.fill_between(
        [record.epoch for record in seeds[0]],
        values.min(axis=0),
        values.max(axis=0),
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
