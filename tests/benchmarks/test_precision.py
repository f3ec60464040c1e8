"""The two forms of INDIAN in every precision: what rounding and changes of θ do to each."""

import json
import math

import numpy as np
import pytest

from benchmarks.harness import apart, workers
from tests.demo.small import dataset

from . import commands
from .test_apart import Bar

pytest.importorskip("optax", reason="the study runs in JAX")
import jax

from benchmarks.precision import studies
from benchmarks.precision.forms import Rule, Variant

NETWORK = ("dense 6", "tanh", "dense classes")
RULE = Rule(lr=0.2, power=0.5, alpha=0.5, beta=0.1, initial_speed=1.0)
STILL = Rule(lr=0.2, power=0.0, alpha=0.5, beta=0.1, initial_speed=1.0)
VARIANTS = {
    "reference": Variant("psi", "float64", "float64"),
    "momentum": Variant("momentum", "float64", "float64"),
    "psi, float32": Variant("psi", "float32", "float32"),
    "momentum, float32": Variant("momentum", "float32", "float32"),
    "psi, bfloat16": Variant("psi", "float32", "bfloat16"),
    "momentum, bfloat16": Variant("momentum", "float32", "bfloat16"),
    "nearest": Variant("momentum", "bfloat16", "float32"),
    "stochastic": Variant("momentum", "bfloat16", "float32", stochastic_rounding=True),
}
CHANGES = [
    {"name": "decay", "kind": "decay", "by": 0.01},
    {"name": "projection", "kind": "projection", "radius": 0.9},
    {"name": "swap", "kind": "average", "momentum": 0.9},
]
PLAN = {"steps": 60, "every": 10, "coast": 200, "follow": 20}


def measured(on_steps):
    """Return what the tests below look at: run in its own process, for JAX's x64 is global."""
    jax.config.update("jax_enable_x64", True)
    study = studies.Study(dataset(), NETWORK, 8)
    rounding = studies.rounding(study, list(VARIANTS.values()), RULE, 400, 1, on_steps)
    outside = {
        form: list(studies.outside(study, form, STILL, CHANGES, PLAN, 1, on_steps))
        for form in ("psi", "momentum")
    }
    return dict(zip(VARIANTS, rounding, strict=True)), outside


def test_both_forms_in_every_precision():
    """One test for all, since it is the trainings that take the time."""
    bar = Bar()
    # JAX spends its time in the compiler, for a second of computing.
    environment = workers.environment("jax", "cpu") | {
        "XLA_FLAGS": "--xla_backend_optimization_level=0"
    }
    rounding, outside = apart.call(measured, environment=environment, bar=bar)
    assert bar.steps == 400 * len(VARIANTS) + 2 * (60 + 20 * len(CHANGES))
    psi_loses_more_than_the_momentum(rounding)
    stochastic_rounding_keeps_what_rounding_to_nearest_loses(rounding)
    a_change_of_theta_goes_on_in_psi_alone(outside)


def psi_loses_more_than_the_momentum(rounding):
    assert rounding["reference"]["error"] == 0
    assert 0 < rounding["momentum"]["error"] < 1e-11
    reference = rounding["reference"]["loss"]
    assert rounding["momentum"]["loss"] == pytest.approx(reference, rel=1e-10)
    assert 1e-8 < rounding["momentum, float32"]["error"] < 1e-4
    assert rounding["psi, float32"]["error"] > 3 * rounding["momentum, float32"]["error"]
    assert rounding["momentum, bfloat16"]["loss"] == pytest.approx(reference, rel=0.3)
    psi = rounding["psi, bfloat16"]["error"]
    assert not psi < 10 * rounding["momentum, bfloat16"]["error"]  # it may have overflowed


def stochastic_rounding_keeps_what_rounding_to_nearest_loses(rounding):
    assert rounding["stochastic"]["error"] < 0.5 * rounding["nearest"]["error"]


def a_change_of_theta_goes_on_in_psi_alone(outside):
    for psi, momentum in zip(outside["psi"], outside["momentum"], strict=True):
        assert psi["displacement"] == pytest.approx(1 / (0.5 * 0.1) - 1, rel=1e-6)
        assert momentum["displacement"] < 1e-9
        for name in ("size", "loss before", "loss after"):
            assert psi[name] == pytest.approx(momentum[name], rel=1e-9)
        assert momentum["worst loss"] == momentum["loss after"]
    decay, projection, swap = outside["momentum"]
    assert decay["size"] == pytest.approx(0.01)
    assert projection["size"] == pytest.approx(0.1)
    assert 0 < swap["size"] < 1
    worst = max(row["worst loss"] / row["loss after"] for row in outside["psi"])
    assert worst > 1.5


def test_the_changes_are_what_their_names_say():
    thetas = np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 4.0]])
    # 0.9² · 1 + 0.1 · 0.9 · (2, 3) + 0.1 · (3, 4)
    average = [0.81 + 0.18 + 0.3, 0.81 + 0.27 + 0.4]
    for change, expected in zip(CHANGES, ([2.97, 3.96], [2.7, 3.6], average), strict=True):
        np.testing.assert_allclose(studies.changed(thetas, change), expected)
    larger = {"kind": "projection", "radius": 1.5}
    np.testing.assert_array_equal(studies.changed(thetas, larger), thetas[-1])


@pytest.mark.skipif(
    not commands.installed("matplotlib", "tqdm", "sklearn"),
    reason="no matplotlib, tqdm or scikit-learn installed",
)
def test_the_command_measures_what_the_settings_say(tmp_path):
    settings = json.loads((commands.BENCHMARKS / "precision" / "settings.json").read_text())
    settings["network"] = ["dense classes"]
    settings["rounding"]["steps"] = 20
    settings["rounding"]["variants"] = settings["rounding"]["variants"][:3]
    settings["outside"] |= {"lr": 0.4, "steps": 20, "coast": 100, "follow": 10}
    file = tmp_path / "small.json"
    file.write_text(json.dumps(settings))
    arguments = ("--settings", file, "--seeds", 2)
    content, text = commands.made("precision", tmp_path, *arguments)
    assert content["settings"] == settings
    assert content["data"] == "digits"
    for row in content["rounding"]:
        assert f"{sum(row['error']) / 2:.1e}" in text
    pairs = {(row["alpha"], row["beta"]): row["error"] for row in content["rounding"][2::3]}
    assert set(pairs) == {(0.5, 0.1), (0.5, 0.01)}
    assert all(len(errors) == 2 and errors[0] != errors[1] for errors in pairs.values())
    assert "19" in text
    assert "199" in text


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
