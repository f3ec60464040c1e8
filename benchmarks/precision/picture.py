"""The picture of `precision`: ψ against w, in rounding, in 16 bits, and under changes of θ."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.harness.figure import COLOURS

Rows = list[dict[str, Any]]
COLOUR = {"psi": COLOURS[0], "momentum": COLOURS[1]}
NAME = {"psi": "ψ, the paper's form", "momentum": "w, what the adapters store"}
HEIGHT = 0.38  # of a bar


def picture(content: dict[str, Any]) -> Figure:
    """Return the figure of the file's content."""
    rounding, outside = content["rounding"], content["outside"]
    first = (rounding[0]["alpha"], rounding[0]["beta"])
    figure = Figure(figsize=(14, 5.4), layout="constrained")
    error, loss, displacement = figure.subplots(1, 3, width_ratios=(0.9, 1.1, 1))
    _errors(error, rounding)
    _losses(loss, [row for row in rounding if (row["alpha"], row["beta"]) == first])
    _displacements(displacement, [row for row in outside if (row["alpha"], row["beta"]) == first])
    figure.legend(
        handles=[Patch(color=COLOUR[form], label=NAME[form]) for form in COLOUR],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    figure.suptitle(
        f"An MLP on {content['data']}, {content['software']}, seeds: {content['seeds']} (dots; "
        rf"bars: means). Middle and right: $\alpha$ = {first[0]:g}, $\beta$ = {first[1]:g}"
    )
    return figure


def _errors(axes: Axes, rows: Rows) -> None:
    """Draw the relative errors of the float32 runs, for each pair of dampings."""
    labels = []
    for row in rows:
        form = _form(row["variant"])
        if row["variant"].count("float32") == 2:
            label = rf"$\alpha$ = {row['alpha']:g}" + "\n" + rf"$\beta$ = {row['beta']:g}"
            labels += [label] * (label not in labels)
            place = labels.index(label) + _side(form)
            _bar(axes, place, row["error"], COLOUR[form])
            axes.text(max(row["error"]), place, f" {np.mean(row['error']):.1e}", va="center")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xscale="log", xlabel="relative error of θ", title="θ and state in float32")
    axes.margins(x=0.35)
    _tidy(axes)


def _losses(axes: Axes, rows: Rows) -> None:
    """Draw the final training loss of every variant, or mark that it diverges."""
    finite = [loss for row in rows for loss in row["loss"] if loss is not None]
    low, high = 0.6 * min(finite), 20 * max(finite)
    for place, row in enumerate(rows):
        losses = [high if loss is None else loss for loss in row["loss"]]
        _bar(axes, place, losses, COLOUR[_form(row["variant"])])
        if None in row["loss"]:
            axes.text(high, place, "diverges ", va="center", ha="right", fontsize=9)
        else:
            text = f" {np.mean(losses):.3g}{_off_course(row['error'])}"
            axes.text(max(losses), place, text, va="center", fontsize=9)
    labels = [row["variant"].replace(", stoch", "\nstoch") for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.axvline(np.mean(rows[0]["loss"]), color="0.4", linestyle="--", linewidth=1)
    axes.set(
        xscale="log",
        xlabel="training loss at the end (dashed: in float64)",
        title="Precisions of θ and state",
    )
    axes.set_xlim(low, high)
    _tidy(axes)


def _off_course(errors: Sequence[float | None]) -> str:
    """Return the distance of θ from float64's, if notable, because a low loss may be luck."""
    if None in errors or not 0.01 < np.mean(errors) < 1:
        return ""
    return f", θ {100 * np.mean(errors):.0f} % off"


def _displacements(axes: Axes, rows: Rows) -> None:
    """Draw the distance that θ moves on by itself after a change from outside."""
    changes = list(dict.fromkeys(row["change"] for row in rows))
    for row in rows:
        place = changes.index(row["change"]) + _side(row["form"])
        _bar(axes, place, row["displacement"], COLOUR[row["form"]])
        moved = np.mean(row["displacement"])
        text = " 0, to 12 digits" if moved < 1e-12 else f" {moved:.3g}"
        axes.text(moved, place, text, va="center", fontsize=9)
    alpha, beta = rows[0]["alpha"], rows[0]["beta"]
    axes.set_yticks(range(len(changes)), [textwrap.fill(change, 14) for change in changes])
    axes.set(xlabel="θ moves on by this many times the change", title="θ changed from outside")
    axes.set_xlim(0, 1.2 / (alpha * beta))
    _tidy(axes)


def _bar(axes: Axes, place: float, values: Sequence[float], colour: str) -> None:
    axes.barh(place, np.mean(values), 0.9 * HEIGHT, color=colour, alpha=0.75)
    axes.plot(values, [place] * len(values), "o", color="k", markersize=2.5)


def _side(form: str) -> float:
    """Return the offset of a form's bar: ψ is above, w below."""
    return HEIGHT / 2 if form == "momentum" else -HEIGHT / 2


def _form(variant: str) -> str:
    return "psi" if "ψ" in variant else "momentum"


def _tidy(axes: Axes) -> None:
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
