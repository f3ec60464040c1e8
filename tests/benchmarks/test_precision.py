"""The two forms of INDIAN in every precision: what rounding and changes of θ do to each."""

import json
import math

import numpy as np
import pytest

from benchmarks.precision import studies
from benchmarks.precision.forms import Variant

from . import commands

CHANGES = [
    {"name": "decay", "kind": "decay", "by": 0.01},
    {"name": "projection", "kind": "projection", "radius": 0.9},
    {"name": "swap", "kind": "average", "momentum": 0.9},
]


def test_the_changes_are_what_their_names_say():
    thetas = np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 4.0]])
    # 0.9² · 1 + 0.1 · 0.9 · (2, 3) + 0.1 · (3, 4)
    average = [0.81 + 0.18 + 0.3, 0.81 + 0.27 + 0.4]
    for change, expected in zip(CHANGES, ([2.97, 3.96], [2.7, 3.6], average), strict=True):
        np.testing.assert_allclose(studies.changed(thetas, change), expected)
    larger = {"kind": "projection", "radius": 1.5}
    np.testing.assert_array_equal(studies.changed(thetas, larger), thetas[-1])


def test_the_command_measures_what_the_settings_say(tmp_path):
    settings = json.loads((commands.BENCHMARKS / "precision" / "settings.json").read_text())
    settings["network"] = ["dense classes"]
    settings["rounding"]["steps"] = 20
    settings["rounding"]["variants"] = settings["rounding"]["variants"][:3]
    settings["outside"] |= {"lr": 0.4, "steps": 20, "coast": 100}
    file = tmp_path / "small.json"
    file.write_text(json.dumps(settings))
    arguments = ("--settings", file, "--seeds", 2)
    content = commands.made("precision", tmp_path, *arguments)
    assert content["settings"] == settings
    assert content["data"] == "digits"
    for damping in settings["dampings"]:
        rows = [
            row
            for row in content["rounding"]
            if (row["alpha"], row["beta"]) == (damping["alpha"], damping["beta"])
        ]
        # The first is ψ in float64, the second w, which is the same run.
        assert rows[0]["error"] == [0, 0]
        assert 0 < max(rows[1]["error"]) < 1e-11
        assert min(rows[2]["error"]) > 1e-8
        assert rows[1]["loss"] == pytest.approx(rows[0]["loss"], rel=1e-9)
        assert rows[2]["error"][0] != rows[2]["error"][1]
    for row in content["outside"]:
        # What a change of θ becomes in ψ: 1/(αβ) − 1 times as large.
        wanted = 1 / (row["alpha"] * row["beta"]) - 1 if row["form"] == "psi" else 0
        assert row["displacement"] == pytest.approx([wanted] * 2, abs=1e-9)


def test_the_committed_result_is_that_of_the_settings_and_shows_the_claims():
    content = json.loads((commands.RESULTS / "precision.json").read_text())
    settings = json.loads((commands.BENCHMARKS / "precision" / "settings.json").read_text())
    assert content["settings"] == settings
    for damping in settings["dampings"]:
        rows = {
            row["variant"]: row
            for row in content["rounding"]
            if (row["alpha"], row["beta"]) == (damping["alpha"], damping["beta"])
        }

        def losses(form, parameters, state, rounding=False, rows=rows):
            found = rows[str(Variant(form, parameters, state, rounding))]["loss"]
            return [math.inf if loss is None else loss for loss in found]

        psi = rows[str(Variant("psi", "float32", "float32"))]["error"]
        momentum = rows[str(Variant("momentum", "float32", "float32"))]["error"]
        assert min(psi) > 10 * max(momentum)
        reference = losses("psi", "float64", "float64")
        assert min(losses("psi", "float32", "bfloat16")) > 2 * max(reference)
        assert max(losses("momentum", "float32", "bfloat16")) < 1.2 * max(reference)
        assert max(losses("momentum", "bfloat16", "float32", True)) < 1.2 * max(reference)
