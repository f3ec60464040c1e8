"""The pictures of docs/tuning.md: the theory from its formulas, the rest from results/tuning.json.

python -m benchmarks.tuning.picture
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # files, not windows; before pyplot is imported

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import NullLocator

from benchmarks.harness import RESULTS
from indian_core.tuning import SAFETY, max_lr, optimal_hyperparameters, spectral_radius

# Okabe and Ito's colours, which the colour-blind tell apart too.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

Rows = list[dict[str, Any]]


def main() -> None:
    content = json.loads((RESULTS / "tuning.json").read_text())
    stability()
    radius()
    suggestions(content["suggestions"])
    curvatures(content["curvatures"])
    traces(content["traces"])


def stability() -> None:
    """The stable step sizes in (γ, β) and in (γ, α), in units of the curvature."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 5.6), layout="constrained")
    x = np.geomspace(0.03, 10, 400)
    y = np.geomspace(0.03, 10, 400)
    grid_x, grid_y = np.meshgrid(x, y)
    _shade(left, x, y, spectral_radius(grid_y, 0.2, grid_x, 1.0))
    for alpha, style in ((0.05, ":"), (0.2, "-"), (1.0, "--")):
        edge = np.minimum(max_lr(0.0, alpha, x), max_lr(1.0, alpha, x))
        left.plot(x, edge, "k", linestyle=style, label=rf"edge, $\alpha/\sqrt{{L}}$ = {alpha:g}")
    left.plot(x, x, color=COLOURS[0], linewidth=2.5, label=r"$\gamma = \beta$: the heavy ball")
    left.set(xlabel=r"$\beta\sqrt{L}$", title=r"Shaded for $\alpha/\sqrt{L}$ = 0.2")
    image = _shade(right, x, y, spectral_radius(grid_y, grid_x, 0.3, 1.0))
    for beta, style in ((0.1, ":"), (0.3, "-"), (1.0, "--")):
        edge = np.minimum(max_lr(0.0, x, beta), max_lr(1.0, x, beta))
        right.plot(x, edge, "k", linestyle=style, label=rf"edge, $\beta\sqrt{{L}}$ = {beta:g}")
    right.axhline(0.3, color=COLOURS[0], linewidth=2.5, label=r"$\gamma = \beta$ = 0.3/$\sqrt{L}$")
    right.plot(x, 1 / x, color=COLOURS[1], label=r"$\alpha\gamma$ = 1: no momentum is kept")
    right.set(xlabel=r"$\alpha/\sqrt{L}$", title=r"Shaded for $\beta\sqrt{L}$ = 0.3")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", ylabel=r"$\gamma\sqrt{L}$", ylim=(0.03, 10))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=9)
    figure.colorbar(image, ax=right, label="steps in which an error shrinks to a tenth")
    _save(figure, "tuning-stability")


def _shade(axes: Axes, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> Any:
    stable = np.where(radius < 1, radius, np.nan)
    axes.set_facecolor("0.82")
    return axes.pcolormesh(
        x, y, -1 / np.log10(stable), cmap="viridis_r", norm=LogNorm(1, 1000), rasterized=True
    )


def radius() -> None:
    """How fast each curvature is learnt: β over the whole spectrum, and the optimum for one."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained")
    curvature = np.geomspace(1e-2, 1e3, 2000)
    for beta, colour in zip((0.05, 0.1, 0.2, 0.5, 1.0), COLOURS, strict=False):
        name = rf"$\beta$ = {beta:g}" + (": the heavy ball" if beta == 0.1 else "")
        left.plot(curvature, spectral_radius(0.1, 0.5, beta, curvature), color=colour, label=name)
    left.set(title=r"$\gamma$ = 0.1, $\alpha$ = 0.5", ylim=(0, 1.3))
    smallest, largest = 0.1, 10.0
    best = optimal_hyperparameters(smallest, largest)
    lines: Iterable[tuple[str, tuple[float, float, float]]] = (
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
    _save(figure, "tuning-spectral-radius")


def suggestions(rows: Rows) -> None:
    """The final loss over the step size, in units of the limit."""
    problems = _values(rows, "problem")
    figure, panels = plt.subplots(
        1, len(problems), figsize=(3.6 * len(problems), 4.0), layout="constrained", squeeze=False
    )
    for axes, problem in zip(panels[0], problems, strict=True):
        mine = [row for row in rows if row["problem"] == problem]
        pairs = list(dict.fromkeys((row["alpha"], row["beta"]) for row in mine))
        for (alpha, beta), colour in zip(pairs, COLOURS, strict=False):
            losses = _mean(
                [row for row in mine if (row["alpha"], row["beta"]) == (alpha, beta)],
                "part",
                "train_loss",
            )
            axes.plot(
                list(losses),
                list(losses.values()),
                "o-",
                markersize=4,
                color=colour,
                label=rf"$\alpha$ = {alpha:g}, $\beta$ = {beta:g}",
            )
        axes.axvline(SAFETY, color="0.4", linestyle="--", zorder=0)
        axes.set(xscale="log", yscale="log", xlabel=r"$\gamma$ / limit", title=problem)
        axes.set_xticks([1 / 8, 1 / 4, 1 / 2, 1, 2], ["1/8", "1/4", "1/2", "1", "2"])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3, which="both")
    panels[0][0].set_ylabel("training loss at the end")
    panels[0][0].legend(fontsize=8)
    _save(figure, "tuning-suggestions")


def curvatures(rows: Rows) -> None:
    """The curvature during training at the suggestion."""
    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    for problem, colour in zip(_values(rows, "problem"), COLOURS, strict=False):
        mine = [row for row in rows if row["problem"] == problem]
        step = [row["step"] + 1 for row in mine]
        axes.plot(step, [row["whole"] for row in mine], "o-", color=colour, label=problem)
        low, high = zip(
            *((min(r["minibatches"]), max(r["minibatches"])) for r in mine), strict=True
        )
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
    _save(figure, "tuning-curvatures")


def traces(rows: Rows) -> None:
    """Loss and energy of runs that go wrong, each for another reason."""
    figure, (loss, energy) = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained")
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
    _save(figure, "tuning-traces")


def _values(rows: Rows, name: str) -> list[Any]:
    return list(dict.fromkeys(row[name] for row in rows))


def _mean(rows: Rows, by: str, name: str) -> dict[Any, float]:
    """Return the mean of a column by the values of another; NaN where one is None."""
    number: Callable[[Any], float] = lambda x: math.nan if x is None else x  # noqa: E731
    return {
        value: float(np.mean([number(row[name]) for row in rows if row[by] == value]))
        for value in sorted(_values(rows, by))
    }


def _save(figure: Any, name: str) -> None:
    figure.savefig(RESULTS / f"{name}.png", dpi=100, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
