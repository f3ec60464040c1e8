"""The committed trajectories are what the script makes, and the two oracles agree."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from indian_core.testing import open_loop
from tests.trajectories.generate import (
    CLOSED,
    FILES,
    HERE,
    OPEN_CHECKPOINTS,
    PAPER_PAIRS,
    problem_by_name,
    reference,
)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in [key, *leaves(value[key])]]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_what_the_script_makes(name: str) -> None:
    made = leaves(json.loads(json.dumps(FILES[name]())))
    kept = leaves(json.loads((HERE / name).read_text()))
    assert len(made) == len(kept)
    for ours, theirs in zip(made, kept, strict=True):
        if isinstance(theirs, float):
            # Other machines' pow() and matrix products may differ in the last digits; what does
            # not depend on them, the exact oracle, is equal to the last bit on this machine.
            assert ours == pytest.approx(theirs, rel=1e-11, abs=1e-14)
        else:
            assert ours == theirs


def test_the_float64_form_agrees_with_the_exact_oracle() -> None:
    content = json.loads((HERE / "open_loop.json").read_text())
    theta_0 = [np.array(theta) for theta in content["theta_0"]]
    gradients = [[np.array(v) for v in step] for step in content["gradients"]]
    assert len(content["trajectories"]) > 30
    for case in content["trajectories"]:
        # The published form of INNAprop is 0/0 at γ = β.
        if case["method"] == "INNAprop" and case["hyperparameters"]["beta"] in case["lrs"]:
            continue
        edits = {int(k): numbers for k, numbers in case.get("edits", {}).items()}
        optimizer = reference(case, theta_0)
        points = list(open_loop(optimizer, gradients, case["lrs"], edits))
        bound = 1e-11 if "lr across beta" in case["name"] else 1e-12
        for checkpoint in case["checkpoints"]:
            point = points[checkpoint["step"] - 1]
            for arrays, lists in (
                (point.theta, checkpoint["theta"]),
                (point.hidden, checkpoint["hidden"]),
            ):
                scale = max(np.max(np.abs(expected)) for expected in lists) or 1.0
                for array, expected in zip(arrays, lists, strict=True):
                    np.testing.assert_allclose(array, expected, rtol=0, atol=bound * scale)


def test_the_trajectories_cover_what_the_paper_uses() -> None:
    cases = json.loads((HERE / "open_loop.json").read_text())["trajectories"]
    cases = [case | case["hyperparameters"] for case in cases if case["method"] == "INDIAN"]
    seen = {(c["alpha"], c["beta"], c["power"], c["initial_speed"]) for c in cases}
    for alpha, beta in PAPER_PAIRS:
        for power in (0.0, 0.25, 0.5):
            assert {(alpha, beta, power, 1.0), (alpha, beta, power, beta)} <= seen
    assert any(c["alpha"] * c["beta"] > 1 for c in cases)
    assert any(c["alpha"] * c["beta"] == 1 for c in cases)
    assert any(c["beta"] == c["lr"] and not c["power"] for c in cases)
    assert any(c["alpha"] * c["lr"] == 1 for c in cases)
    assert all([p["step"] for p in c["checkpoints"]] == OPEN_CHECKPOINTS for c in cases)


@pytest.mark.parametrize("name", sorted({row[0] for row in CLOSED}))
def test_hand_written_gradients_are_the_losses(name: str) -> None:
    """Central differences of the loss, along random directions, off the kinks."""
    problem = problem_by_name(name)
    random = np.random.default_rng(1)
    theta = [t + 0.1 * random.standard_normal(t.shape) for t in problem.theta_0]
    batch = problem.batch(3)
    gradient = problem.gradient(theta, batch)
    assert [g.shape for g in gradient] == [t.shape for t in theta]
    for _ in range(5):
        direction = [random.standard_normal(t.shape) for t in theta]
        h = 1e-5
        plus, minus = (
            problem.loss([t + sign * h * d for t, d in zip(theta, direction, strict=True)], batch)
            for sign in (1, -1)
        )
        slope = sum(np.sum(g * d) for g, d in zip(gradient, direction, strict=True))
        assert (plus - minus) / (2 * h) == pytest.approx(slope, rel=1e-6)
