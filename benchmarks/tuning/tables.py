"""The tables of docs/suggest.md and docs/suggest-tables.md, from results/tuning.json."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.tables import table
from indian_core.tuning import SAFETY

Rows = list[dict[str, Any]]


def every(content: dict[str, Rows]) -> dict[str, str]:
    """Return all tables by name."""
    rows = content["suggestions"]
    return {
        "expected": suggestions([row for row in rows if row["alpha"] == row["beta"] == 0.5]),
        "suggestions": suggestions(rows),
        "safeties": safeties(rows),
        "curvatures": curvatures(content["curvatures"]),
        "first_steps": first_steps(content["first_steps"]),
        "traces": traces(content["traces"]),
    }


def suggestions(rows: Rows) -> str:
    """Return the suggestion against the best of the grid, per problem and pair of dampings."""
    lines = []
    for (problem, alpha, beta), mine in groups(rows, "problem", "alpha", "beta"):
        loss, accuracy = means(mine, "train_loss"), means(mine, "test_accuracy")
        best = min(loss, key=lambda part: (math.isnan(loss[part]), loss[part]))
        lines.append(
            [
                ("network", problem),
                ("α, β", f"{alpha:g}, {beta:g}"),
                ("L", _range([row["curvature"] for row in mine])),
                ("suggested γ", _range([SAFETY * row["limit"] for row in mine])),
                ("loss", f"{loss[SAFETY]:.3f}"),
                ("test", f"{100 * accuracy[SAFETY]:.1f} %"),
                ("best loss", f"{loss[best]:.3f}"),
                ("test", f"{100 * accuracy[best]:.1f} %"),
                ("at γ/limit", f"{best:g}"),
            ]
        )
    return table(lines)


def safeties(rows: Rows) -> str:
    """Return each safety's cost against the best of the grid, over problems and dampings."""
    ratios: dict[float, list[float]] = {}
    behind: dict[float, list[float]] = {}
    for _, mine in groups(rows, "problem", "alpha", "beta"):
        loss, accuracy = means(mine, "train_loss"), means(mine, "test_accuracy")
        best = min(value for value in loss.values() if math.isfinite(value))
        for part in loss:
            ratio = loss[part] / best
            ratios.setdefault(part, []).append(ratio if math.isfinite(ratio) else math.inf)
            behind.setdefault(part, []).append(100 * (max(accuracy.values()) - accuracy[part]))
    lines = [
        [
            ("γ/limit", f"{part:g}"),
            ("loss / best: geometric mean", f"{np.exp(np.mean(np.log(values))):.2f}"),
            ("worst", f"{max(values):.2f}"),
            ("test accuracy behind the best, points: median", f"{np.median(behind[part]):.1f}"),
            ("worst", f"{max(behind[part]):.1f}"),
        ]
        for part, values in sorted(ratios.items())
    ]
    return table(lines)


def curvatures(rows: Rows) -> str:
    """Return the curvature during training, of many samples and of minibatches."""
    lines = []
    for (problem,), mine in groups(rows, "problem"):
        whole = [row["whole"] for row in mine]
        top = int(np.argmax(whole))
        ratio = [max(row["minibatches"]) / row["whole"] for row in mine]
        lines.append(
            {
                "problem": problem,
                "L at the start": f"{whole[0]:.1f}",
                "largest": f"{whole[top]:.1f} after {mine[top]['step']} steps",
                "after 512 steps": f"{whole[-1]:.1f}",
                "steepest of 8 minibatches / L, at the start": f"{ratio[0]:.1f}",
                "later, at most": f"{max(ratio):.1f}",
            }
        )
    return table(lines)


def first_steps(rows: Rows) -> str:
    """Return the losses from the paper's start against those from rest."""
    lines = []
    for (problem, seed), mine in groups(rows, "problem", "seed"):
        paper, rest = sorted(mine, key=lambda row: -row["initial_speed"])
        lines.append(
            [
                ("run", f"{problem}, seed {seed}"),
                ("γL", f"{paper['lr_times_curvature']:.2f}"),
                ("suggested s", f"{paper['suggested_speed']:g}"),
                ("loss at the start", f"{paper['loss_before']:.2f}"),
                ("after one step, s = 1", f"{paper['loss_after_one_step']:.2f}"),
                ("s = β", f"{rest['loss_after_one_step']:.2f}"),
                ("at the end, s = 1", f"{paper['train_loss']:.3f}"),
                ("s = β", f"{rest['train_loss']:.3f}"),
            ]
        )
    return table(lines)


def traces(rows: Rows) -> str:
    """Return how often the loss and the energy rise in each run."""

    def rises(row: dict[str, Any], name: str) -> str:
        return f"{100 * np.mean(np.diff(row[name]) > 0):.0f} %"

    lines = [
        {
            "run": row["label"],
            "with": f"α={row['alpha']:g}, β={row['beta']:g}, γ={row['lr']:.2g}",
            "loss rises": rises(row, "loss"),
            "energy rises": rises(row, "energy"),
            "loss at the end": f"{row['loss'][-1]:.3f}",
        }
        for row in rows
    ]
    return table(lines)


def groups(rows: Rows, *names: str) -> Iterable[tuple[tuple[Any, ...], Rows]]:
    """Return the rows grouped by their values in the named columns."""
    found: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found.items()


def means(rows: Rows, name: str) -> dict[float, float]:
    """Return the mean over seeds for each fraction of the limit; NaN if a run diverged."""
    return {
        part: float(np.mean([math.nan if r[name] is None else r[name] for r in mine]))
        for (part,), mine in groups(rows, "part")
    }


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low}–{high}"
