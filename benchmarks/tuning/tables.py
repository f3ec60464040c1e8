"""The tables of docs/tuning.md, from results/tuning.json.

python -m benchmarks.tuning.tables
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness
from indian_core.tuning import SAFETY

RESULTS = harness.RESULTS / "tuning.json"

Rows = list[dict[str, Any]]


def main() -> None:
    content = json.loads(RESULTS.read_text())
    for name in (suggestions, safeties, curvatures, first_steps, traces):
        print(f"## {name.__name__}\n")
        print(name(content["suggestions" if name is safeties else name.__name__]), "\n")


def suggestions(rows: Rows) -> str:
    """The suggestion against the best of the grid, per problem and pair of dampings."""
    lines = []
    for (problem, alpha, beta), mine in _groups(rows, "problem", "alpha", "beta"):
        loss, accuracy = _means(mine, "train_loss"), _means(mine, "test_accuracy")
        best = min(loss, key=lambda part: (math.isnan(loss[part]), loss[part]))
        lines.append(
            (
                problem,
                f"{alpha:g}, {beta:g}",
                _range([row["curvature"] for row in mine]),
                _range([SAFETY * row["limit"] for row in mine]),
                f"{loss[SAFETY]:.3f}",
                f"{100 * accuracy[SAFETY]:.1f} %",
                f"{loss[best]:.3f}",
                f"{100 * accuracy[best]:.1f} %",
                f"{best:g}",
            )
        )
    header = (
        "problem",
        "α, β",
        "L",
        "suggested γ",
        "loss",
        "test",
        "best loss",
        "test",
        "at γ/limit",
    )
    return _table(header, lines)


def safeties(rows: Rows) -> str:
    """What each safety costs against the best of the grid, over problems and dampings."""
    ratios: dict[float, list[float]] = {}
    behind: dict[float, list[float]] = {}
    for _, mine in _groups(rows, "problem", "alpha", "beta"):
        loss, accuracy = _means(mine, "train_loss"), _means(mine, "test_accuracy")
        best = min(value for value in loss.values() if math.isfinite(value))
        for part in loss:
            ratio = loss[part] / best
            ratios.setdefault(part, []).append(ratio if math.isfinite(ratio) else math.inf)
            behind.setdefault(part, []).append(100 * (max(accuracy.values()) - accuracy[part]))
    lines = [
        (
            f"{part:g}",
            f"{np.exp(np.mean(np.log(values))):.2f}",
            f"{max(values):.2f}",
            f"{np.median(behind[part]):.1f}",
            f"{max(behind[part]):.1f}",
        )
        for part, values in sorted(ratios.items())
    ]
    header = (
        "γ/limit",
        "loss / best: geometric mean",
        "worst",
        "test accuracy behind the best, points: median",
        "worst",
    )
    return _table(header, lines)


def curvatures(rows: Rows) -> str:
    lines = []
    for (problem,), mine in _groups(rows, "problem"):
        whole = [row["whole"] for row in mine]
        top = int(np.argmax(whole))
        ratio = [max(row["minibatches"]) / row["whole"] for row in mine]
        lines.append(
            (
                problem,
                f"{whole[0]:.1f}",
                f"{whole[top]:.1f} after {mine[top]['step']} steps",
                f"{whole[-1]:.1f}",
                f"{ratio[0]:.1f}",
                f"{max(ratio):.1f}",
            )
        )
    header = (
        "problem",
        "L at the start",
        "largest",
        "after 512 steps",
        "steepest of 8 minibatches / L, at the start",
        "later, at most",
    )
    return _table(header, lines)


def first_steps(rows: Rows) -> str:
    lines = []
    for (problem, seed), mine in _groups(rows, "problem", "seed"):
        paper, rest = sorted(mine, key=lambda row: -row["initial_speed"])
        lines.append(
            (
                f"{problem}, seed {seed}",
                f"{paper['lr_times_curvature']:.2f}",
                f"{paper['suggested_speed']:g}",
                f"{paper['loss_before']:.2f}",
                f"{paper['loss_after_one_step']:.2f}",
                f"{rest['loss_after_one_step']:.2f}",
                f"{paper['train_loss']:.3f}",
                f"{rest['train_loss']:.3f}",
            )
        )
    header = (
        "run",
        "γL",
        "suggested s",
        "loss at the start",
        "after one step, s = 1",
        "s = β",
        "at the end, s = 1",
        "s = β",
    )
    return _table(header, lines)


def traces(rows: Rows) -> str:
    lines = []
    for row in rows:
        rises = [f"{100 * np.mean(np.diff(row[name]) > 0):.0f} %" for name in ("loss", "energy")]
        values = f"α={row['alpha']:g}, β={row['beta']:g}, γ={row['lr']:.2g}"
        lines.append((row["label"], values, *rises, f"{row['loss'][-1]:.3f}"))
    return _table(("run", "with", "loss rises", "energy rises", "loss at the end"), lines)


def _groups(rows: Rows, *names: str) -> Iterable[tuple[tuple[Any, ...], Rows]]:
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups.items()


def _means(rows: Rows, name: str) -> dict[float, float]:
    """Return the mean over seeds for each part of the limit; NaN where a run diverged."""
    return {
        part: float(np.mean([math.nan if r[name] is None else r[name] for r in mine]))
        for (part,), mine in _groups(rows, "part")
    }


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low}–{high}"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    main()
