"""The pictures of the pages on step sizes: from formulas, and from tuning.json."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.harness.figure import COLOURS
from benchmarks.tuning.tables import Rows, groups, means
from indian_core.tuning import SAFETY, max_lr, optimal_hyperparameters, spectral_radius


def every(content: dict[str, Rows]) -> dict[str, Figure]:
    """Return all pictures by name."""
    return {
        "stability": stability(),
        "spectral-radius": radius(),
        "suggestions": suggestions(content["suggestions"]),
        "curvatures": curvatures(content["curvatures"]),
        "traces": traces(content["traces"]),
    }


def stability() -> Figure:
    """Draw the stable step sizes in (γ, β) and in (γ, α), in units of the curvature."""
    figure = Figure(figsize=(11.5, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = np.geomspace(0.03, 10, 400)
    columns, lrs = np.meshgrid(x, x)

    def limit(alpha: Any, beta: Any) -> Any:
        """Return the largest stable step size on all curvatures from 0 to 1."""
        return np.minimum(max_lr(0.0, alpha, beta), max_lr(1.0, alpha, beta))

    def edge(axes: Axes, alpha: Any, beta: Any, style: str, label: str) -> None:
        axes.plot(x, limit(alpha, beta), "k", linestyle=style, label=f"edge, {label}")

    def shade(axes: Axes, alpha: Any, beta: Any) -> Any:
        radius = spectral_radius(lrs, alpha, beta, 1.0)
        steps = -1 / np.log10(np.where(lrs < limit(alpha, beta), radius, np.nan))
        axes.set_facecolor("0.82")
        return axes.pcolormesh(
            x, x, steps, cmap="viridis_r", norm=LogNorm(1, 1000), rasterized=True
        )

    shade(left, 0.2, columns)
    for alpha, style in ((0.05, ":"), (0.2, "-"), (1.0, "--")):
        edge(left, alpha, x, style, rf"$\alpha/\sqrt{{L}}$ = {alpha:g}")
    left.plot(x, x, color=COLOURS[0], linewidth=2.5, label=r"$\gamma = \beta$: the heavy ball")
    left.set(xlabel=r"$\beta\sqrt{L}$", title=r"Shaded for $\alpha/\sqrt{L}$ = 0.2")
    image = shade(right, columns, 0.3)
    for beta, style in ((0.1, ":"), (0.3, "-"), (1.0, "--")):
        edge(right, x, beta, style, rf"$\beta\sqrt{{L}}$ = {beta:g}")
    right.axhline(0.3, color=COLOURS[0], linewidth=2.5, label=r"$\gamma = \beta$ = 0.3/$\sqrt{L}$")
    right.plot(x, 1 / x, color=COLOURS[1], label=r"$\alpha\gamma$ = 1: no momentum is kept")
    right.set(xlabel=r"$\alpha/\sqrt{L}$", title=r"Shaded for $\beta\sqrt{L}$ = 0.3")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", ylabel=r"$\gamma\sqrt{L}$", ylim=(0.03, 10))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=9)
    figure.colorbar(image, ax=right, label="steps in which an error shrinks to a tenth")
    return figure


def radius() -> Figure:
    """Draw how fast each curvature is learnt, for several β and around a spectrum's optimum."""
    figure = Figure(figsize=(11.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    curvature = np.geomspace(1e-2, 1e3, 2000)
    for beta, colour in zip((0.05, 0.1, 0.2, 0.5, 1.0), COLOURS, strict=False):
        name = rf"$\beta$ = {beta:g}" + (": the heavy ball" if beta == 0.1 else "")
        left.plot(curvature, spectral_radius(0.1, 0.5, beta, curvature), color=colour, label=name)
    left.set(title=r"$\gamma$ = 0.1, $\alpha$ = 0.5", ylim=(0, 1.3))
    smallest, largest = 0.1, 10.0
    best = optimal_hyperparameters(smallest, largest)
    lines = (
        ("the optimum: a heavy ball", (best.lr, best.alpha, best.beta)),
        (r"$\beta$ twice as large", (best.lr, best.alpha, 2 * best.beta)),
        (r"$\gamma$ half as large", (best.lr / 2, best.alpha, best.beta)),
        (r"$\alpha$ a quarter", (best.lr, best.alpha / 4, best.beta)),
    )
    for (name, (lr, alpha, beta)), colour in zip(lines, COLOURS, strict=False):
        right.plot(curvature, spectral_radius(lr, alpha, beta, curvature), color=colour, label=name)
    right.axvspan(smallest, largest, color="0.9", zorder=0)
    right.set(title="For the spectrum [0.1, 10] (grey)", ylim=(0, 1.3))
    for axes in (left, right):
        axes.axhline(1, color="k", linewidth=0.8)
        axes.set(xscale="log", xlabel="curvature L", ylabel="spectral radius: factor per step")
        axes.legend(fontsize=8.5)
    return figure


def suggestions(rows: Rows) -> Figure:
    """Draw the final loss over the step size, in units of the limit."""
    problems = groups(rows, "problem")
    figure = Figure(figsize=(3.6 * len(problems), 4.0), layout="constrained")
    panels = figure.subplots(1, len(problems), squeeze=False)
    for axes, ((problem,), mine) in zip(panels[0], problems, strict=True):
        pairs = groups(mine, "alpha", "beta")
        for ((alpha, beta), of_pair), colour in zip(pairs, COLOURS, strict=False):
            losses = sorted(means(of_pair, "train_loss").items())
            label = rf"$\alpha$ = {alpha:g}, $\beta$ = {beta:g}"
            axes.plot(*zip(*losses, strict=True), "o-", markersize=4, color=colour, label=label)
        axes.axvline(SAFETY, color="0.4", linestyle="--", zorder=0)
        axes.set(xscale="log", yscale="log", xlabel=r"$\gamma$ / limit", title=problem)
        axes.set_xticks([1 / 8, 1 / 4, 1 / 2, 1, 2], ["1/8", "1/4", "1/2", "1", "2"])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3, which="both")
    panels[0][0].set_ylabel("training loss at the end")
    panels[0][0].legend(fontsize=8)
    return figure


def curvatures(rows: Rows) -> Figure:
    """Draw the curvature during training with the suggested step size."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    for ((problem,), mine), colour in zip(groups(rows, "problem"), COLOURS, strict=False):
        step = [row["step"] + 1 for row in mine]
        axes.plot(step, [row["whole"] for row in mine], "o-", color=colour, label=problem)
        batches = np.array([row["minibatches"] for row in mine])
        low, high = batches.min(axis=1), batches.max(axis=1)
        axes.fill_between(step, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="optimizer steps made, plus one",
        ylabel="largest curvature",
        title="Lines: of 1000 samples. Bands: of eight minibatches of 32",
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure


def traces(rows: Rows) -> Figure:
    """Draw loss and energy of a good run, and of runs that go wrong, each for another reason."""
    figure = Figure(figsize=(11.5, 4.4), layout="constrained")
    loss, energy = figure.subplots(1, 2)
    for row, colour in zip(rows, COLOURS, strict=False):
        steps = 2 * np.arange(len(row["loss"]))
        name = rf"{row['label']}: $\alpha$={row['alpha']:g}, $\beta$={row['beta']:g}, "
        name += rf"$\gamma$={row['lr']:.2g}"
        loss.plot(steps, row["loss"], color=colour, linewidth=1.2, label=name)
        energy.plot(steps, np.array(row["energy"]) / row["energy"][0], color=colour, linewidth=1.2)
    loss.set(yscale="log", ylabel="loss", title="Loss")
    energy.set(yscale="log", ylabel="E / E at the start", title="Energy")
    for axes in (loss, energy):
        axes.set_xlabel("step, with the gradient of 1000 samples")
        axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
