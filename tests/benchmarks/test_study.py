"""The study: equal budgets, cells that resume, and what the committed files and pages say."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from . import commands

pytest.importorskip("optax", reason="the study runs in JAX")
pytest.importorskip("scipy", reason="its points are SciPy's")

from benchmarks.study import cells, methods, picture, runs, summary, tables, untuned, workloads

SETTINGS = json.loads((commands.BENCHMARKS / "study" / "settings.json").read_text())
FILES = [commands.RESULTS / f"study-{cells.slug(name)}.json" for name in SETTINGS["workloads"]]
CONTENTS = [json.loads(path.read_text()) for path in FILES if path.exists()]


def test_the_settings_name_what_there_is() -> None:
    assert SETTINGS["workloads"] == list(workloads.WORKLOADS)
    assert SETTINGS["methods"] == list(methods.METHODS)
    assert SETTINGS["schedules"] == list(runs.SCHEDULES)
    assert SETTINGS["sweeps"]["methods"] == list(methods.SWEEPS)


def test_every_method_gets_the_same_points_and_three_decades() -> None:
    points = runs.trials(32)
    assert points.shape == (32, 3)
    np.testing.assert_array_equal(points[:8], runs.trials(8))
    for method in methods.METHODS.values():
        first = method.scales[0]
        # (The raw search is over the same factor in each of its three numbers.)
        decades = math.log10(first.high / first.low)
        assert decades == pytest.approx(3) or len(method.scales) == 3
        for point in points:
            values = method.values(point)
            assert len(values) == len(method.scales)
            assert first.low <= values["lr"] <= first.high
            assert 0.7 <= values.get("momentum", 0.9) <= 0.99


def test_the_draws_of_a_budget_are_disjoint() -> None:
    found = runs.blocks(32, [8, 16, 32, 64])
    assert {budget: len(ranges) for budget, ranges in found.items()} == {8: 4, 16: 2, 32: 1}
    for budget, ranges in found.items():
        assert sorted(i for block in ranges for i in block) == list(range(32))
        assert all(len(block) == budget for block in ranges)


def test_schedules_begin_at_one_and_warm_up_from_zero() -> None:
    workload = workloads.load("text, transformer, 16", None)
    for name in runs.SCHEDULES:
        factors = runs.factors(name, workload)
        warm = round(workload.warmup * workload.steps)
        assert len(factors) == workload.steps
        assert factors.max() == pytest.approx(1, abs=1e-3)
        assert (np.diff(factors[: warm + 1]) > 0).all()
        assert factors[-1] == (1 if name == "constant" else pytest.approx(0, abs=2e-3))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("SGD-Nesterov", {"lr": 0.1}),
        ("INDIAN (lr, m, d)", {"lr": 0.1, "momentum": 0.9, "exponent": math.log(0.19, 0.1)}),
        ("INDIAN (γ, α, β)", {"lr": 0.1**0.5, "alpha": 0.1**0.5, "beta": 0.19 / 0.1**0.5}),
    ],
)
def test_a_family_member_at_nesterovs_numbers_is_nesterov(
    name: str, values: dict[str, float]
) -> None:
    """One scale of the learning rate serves all: at m = .9 and d = 1 − m² they are the same."""
    factor = np.ones(3, np.float32)
    gradients = [np.float32(g) for g in (0.3, -1.0, 0.5)]

    def path(name: str, values: dict[str, float]) -> list[float]:
        import optax

        optimizer = methods.METHODS[name].make(values, lambda count: factor[count])
        params = np.float32(1.0)
        state, found = optimizer.init(params), []
        for gradient in gradients:
            updates, state = optimizer.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            found.append(float(params))
        return found

    nesterov = path("SGD-Nesterov (lr, m)", {"lr": 0.1, "momentum": 0.9})
    assert nesterov == pytest.approx(path(name, values), rel=1e-5)


def run(folder: Any, *options: Any) -> str:
    chosen = ("--workloads", "digits, MLP, 16", "--schedules", "linear", "--no-sweeps")
    process = commands.run("study", folder, *chosen, *options)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_a_small_study_resumes_and_says_what_it_found(tmp_path: Any) -> None:
    run(tmp_path, "--trials", 2, "--methods", "AdamW", "--seeds", 1)
    path = tmp_path / "study-digits-mlp-16.json"
    first = json.loads(path.read_text())["cells"]
    text = run(tmp_path, "--trials", 2, "--methods", "AdamW", "INNAprop, d .3", "--seeds", 1)
    content = json.loads(path.read_text())
    assert content["cells"][0] == first[0]
    assert [cell["method"] for cell in content["cells"]] == ["AdamW", "INNAprop, d .3"]
    for cell in content["cells"]:
        assert len(cell["losses"]) == len(cell["values"]) == 2
        (winner,) = cell["winners"]["2"]
        assert cell["losses"][winner] == min(cell["losses"])
        (record,) = cell["runs"][str(winner)]
        assert len(record["curve"]) == runs.POINTS
        assert 0 < record["train loss"] < 2.5
        assert f"{record['train loss']:.3f}" in text
    for name in ("study", "study-sensitivity"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    refused = commands.run("study", tmp_path, "--workloads", "digits, MLP, 16", "--seeds", 5)
    assert "Invalid seeds: [5]" in refused.stderr


def test_what_cannot_be_is_refused(tmp_path: Any) -> None:
    process = commands.run("study", tmp_path / "none", "--draw")
    assert process.returncode == 1
    assert "it holds no cells" in process.stderr
    with pytest.raises(ValueError, match="IDX files are needed"):
        workloads.load("Fashion-MNIST, MLP, 16", None)
    with pytest.raises(ValueError, match="Invalid workload: 'x'"):
        workloads.load("x", None)


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content["workload"])
def test_the_committed_cells_are_of_these_settings(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        method = (methods.METHODS | methods.SWEEPS)[cell["method"]]
        for point, values in zip(runs.trials(32), cell["values"], strict=False):
            expected = method.values(point)
            assert values == pytest.approx(expected, rel=1e-4, abs=1e-5)
        losses = [math.inf if loss is None else loss for loss in cell["losses"]]
        for budget, chosen in cell["winners"].items():
            for draw, winner in enumerate(chosen):
                block = range(draw * int(budget), (draw + 1) * int(budget))
                assert losses[winner] == min(losses[i] for i in block)
        assert all(len(r) == len(content["seeds"]) for r in cell["runs"].values())


def test_means_and_errors_are_those_of_the_runs() -> None:
    def record(loss: float | None, curve: list[float]) -> dict[str, Any]:
        return {"train loss": loss, "curve": curve}

    cell = {
        "method": "SGD-Nesterov",
        "schedule": "cosine",
        "losses": [3.0, 1.0, None, 1.05],
        "winners": {"2": [1, 3], "4": [1]},
        "runs": {
            "1": [record(1.0, [4.0, 2.0]), record(2.0, [4.0, 1.0])],
            "3": [record(3.0, [9.0, 9.0]), record(None, [9.0, 9.0])],
        },
    }
    assert summary.estimate(cell, 4, "train loss") == (1.5, 0.5)
    assert summary.estimate(cell, 2, "train loss").text() == "diverged"
    assert summary.time_to(cell, 1.5) == 1.0
    assert math.isnan(summary.time_to(cell, 1.4))
    assert summary.useful(cell) == 0.5
    assert summary.target({"cells": [cell]}, "cosine", tables.BASELINES) == 1.5


@pytest.mark.skipif(not CONTENTS, reason="no study is committed")
def test_the_pictures_show_every_method_and_workload() -> None:
    figure = picture.comparison(CONTENTS, SETTINGS["sweeps"]["methods"])
    assert [axes.get_title() for axes in figure.axes] == [c["workload"] for c in CONTENTS]
    shown = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert shown == {
        cell["method"]
        for content in CONTENTS
        for cell in content["cells"]
        if cell["method"] in SETTINGS["methods"] and cell["schedule"] == picture.SCHEDULE
    }
    figure = picture.sensitivity(CONTENTS)
    names = set(SETTINGS["sweeps"]["methods"])
    swept = [c for c in CONTENTS if names & {cell["method"] for cell in c["cells"]}]
    titles = [c["workload"] for c in (*CONTENTS, *swept)]
    assert [axes.get_title() for axes in figure.axes] == titles
    assert all(axes.lines for axes in figure.axes)


@pytest.mark.skipif(not CONTENTS, reason="no study is committed")
@pytest.mark.parametrize("page", ["README.md", "docs/when.md"])
def test_the_pages_show_the_tables_of_the_files(page: str) -> None:
    text = (commands.BENCHMARKS.parent / page).read_text()
    assert tables.summary_table(CONTENTS, picture.SCHEDULE) in text
    if page == "docs/when.md":
        for content in CONTENTS:
            assert tables.results(content, SETTINGS["sweeps"]["methods"]) in text


def test_untuned_runs_begin_with_what_is_the_default() -> None:
    for method in untuned.RATES:
        assert method in methods.METHODS
    alpha, beta = (untuned.INDIAN[name] for name in ("alpha", "beta"))
    assert f"INDIAN ({alpha:g}, {beta:g})".replace("0.", ".") in untuned.RATES


def test_the_table_of_momenta_is_that_of_the_files() -> None:
    assert tables.momenta(CONTENTS, "cosine") in (commands.RESULTS.parent / "when.md").read_text()


def test_what_the_pages_say_of_the_same_numbers_is_in_the_file() -> None:
    losses = json.loads((commands.RESULTS / "untuned.json").read_text())["training losses"]

    def differences(pairs: list[tuple[str, str]]) -> np.ndarray:
        rows = [rows for of_workload in losses.values() for rows in of_workload.values()]
        means = [[np.mean(each[name]) for name in pair] for each in rows for pair in pairs]
        return np.array([100 * (ours / theirs - 1) for ours, theirs in means])

    sgd, ours = untuned.RATES["SGD-Nesterov"], untuned.RATES["INDIAN.from_sgd, d .3"]
    found = differences([(ours[lr], sgd[lr]) for lr in ours])
    lower, higher = (found < -1).sum(), (found > 1).sum()
    page = " ".join((commands.RESULTS.parent / "when.md").read_text().split())
    assert f"in {len(found)} cells. It is lower by more than 1 % in {lower} (by up to " in page
    assert f"up to {-found.min():.0f} %), within 1 % in {len(found) - lower - higher}, and" in page
    assert f"higher in {higher} (by up to {found.max():.1f} %)" in page
    readme = " ".join((commands.BENCHMARKS.parent / "README.md").read_text().split())
    assert f"more than 1 % in {lower} of {len(found)} comparisons" in readme
    assert f"level in {len(found) - lower - higher}, and higher in {higher} (by up to" in readme
    assert f"(by up to {found.max():.1f} %)" in readme
    (adamw,) = untuned.RATES["AdamW"].values()
    (innaprop,) = untuned.RATES["INNAprop.from_adam, d .3"].values()
    found = differences([(innaprop, adamw)])
    assert f"between {-found.min():.1f} % lower and {found.max():.1f} % higher than AdamW" in page
    assert f"within {abs(found).max():.1f} % of AdamW in twelve" in readme


def test_the_untuned_command(tmp_path: Any) -> None:
    process = commands.run("study.untuned", tmp_path, "--workloads", "digits, MLP, 16")
    assert process.returncode == 0, process.stderr
    content = json.loads((tmp_path / "untuned.json").read_text())
    assert untuned.table(content, "cosine") in process.stdout
    losses = content["training losses"]["digits, MLP, 16"]["cosine"]
    assert all(len(each) == len(untuned.SEEDS) for each in losses.values())


def test_the_page_shows_what_is_untuned() -> None:
    content = json.loads((commands.RESULTS / "untuned.json").read_text())
    text = (commands.BENCHMARKS.parent / "docs" / "when.md").read_text()
    for schedule in untuned.SCHEDULES:
        assert untuned.table(content, schedule) in text
