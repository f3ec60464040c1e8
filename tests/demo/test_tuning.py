"""The pages on step sizes say what tuning.json holds, and what they claim follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tuning import tables
from indian_core import BETA
from indian_core.tuning import SAFETY, from_curvature

ROOT = Path(__file__).parents[2]
CONTENT: dict[str, Any] = json.loads((ROOT / "docs" / "results" / "tuning.json").read_text())


PAGES = {
    "expected": "suggest.md",
    "suggestions": "suggest-tables.md",
    "safeties": "suggest-tables.md",
    "curvatures": "suggest-tables.md",
    "first_steps": "suggest-tables.md",
    "traces": "oscillates.md",
}


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_are_those_of_the_results(name: str) -> None:
    table = tables.every(CONTENT)[name]
    assert table.count("\n") > 2
    assert table in (ROOT / "docs" / PAGES[name]).read_text()


def test_a_suggestion_is_within_a_point_of_the_lowest_loss() -> None:
    pairs = [row for row in CONTENT["suggestions"] if (row["alpha"], row["beta"]) == (0.5, 0.5)]
    found = list(tables.groups(pairs, "problem"))
    assert len(found) == 4
    for _, rows in found:
        loss, accuracy = tables.means(rows, "train_loss"), tables.means(rows, "test_accuracy")
        best = min(loss, key=lambda part: np.nan_to_num(loss[part], nan=np.inf))
        assert accuracy[best] - accuracy[SAFETY] < 0.01


def test_the_limits_are_still_those_of_the_core() -> None:
    for row in CONTENT["suggestions"]:
        found = from_curvature(row["curvature"], row["alpha"], row["beta"], row["part"])
        # The file holds five digits.
        assert found.limit == pytest.approx(row["limit"], rel=1e-4)
        assert found.initial_speed == row["initial_speed"]


def test_every_suggestion_trained_and_at_twice_its_safety_one_run_ended_higher() -> None:
    def losses(part: float, default: bool = True) -> list[float]:
        rows = [row for row in CONTENT["suggestions"] if row["part"] == part]
        found = [row["train_loss"] for row in rows if default or row["beta"] != BETA]
        return [np.inf if loss is None else loss for loss in found]

    assert len(losses(SAFETY)) >= 30
    assert max(losses(SAFETY, default=False)) < 0.6  # 2.3 is what they begin at
    assert max(losses(SAFETY)) < 0.9
    assert max(losses(2 * SAFETY)) > 0.9


def test_the_energy_tells_the_two_oscillations_apart() -> None:
    by_label = {row["label"]: row for row in CONTENT["traces"]}
    little, large = by_label["too little damping"], by_label["too large a step"]
    assert (np.diff(little["loss"]) > 0).any()
    assert (np.diff(little["energy"]) < 0).all()
    assert (np.diff(large["energy"]) > 0).mean() > 0.05
