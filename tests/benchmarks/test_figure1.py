"""Figure 1: the paths of every adapter, what is measured on a path, and the committed figure."""

import json
import math

import numpy as np
import pytest

from benchmarks.figure1 import picture, valley

from . import commands


def test_what_is_measured_on_a_path():
    time = np.arange(0, 10, 0.001)
    wave = np.exp(-time) * np.cos(2 * np.pi * time)
    # Extremes near t = 0, 1/2, 1, …, of sizes near exp(−t): the ways between them are
    # exp(−t) (1 + exp(−1/2)), more than 0.01 up to t = 5; the start is no turn.
    ways = [math.exp(-k / 2) * (1 + math.exp(-1 / 2)) for k in range(20)]
    assert valley.swings(wave, 0.01) == sum(way > 0.01 for way in ways) - 1
    assert valley.swings(wave, 0.0) > valley.swings(wave, 0.01) > valley.swings(wave, 0.1)
    # A way that never turns has no swings, and there and back are both a way.
    assert valley.swings(np.exp(-np.arange(0, 5, 0.1)), 0.001) == 0
    assert valley.travel(np.array([0.0, 1.0, -1.0, 0.5])) == 4.5
    path = np.array([[-1.0, 1.5], [-0.5, 0.5], [1.0, 1.0], [2.0, 1.0]])
    np.testing.assert_array_equal(valley.across(path), [0.5, 0, 0, -1])
    np.testing.assert_array_equal(valley.losses(path), [27, 1.5, 0, 101])


def test_the_loss_falls_as_in_the_paper(tmp_path):
    content = commands.made("figure1", tmp_path, "--framework", "numpy", "--iterations", 20_000)
    assert content["marks"] == [10_000, 20_000]
    assert list(content["software"]) == ["numpy"]
    for panel in content["panels"][:3]:
        found = panel["loss at marks"]["numpy"]
        assert found == pytest.approx(panel["expected"][:2], rel=5e-3)
        assert (panel["theta_1"][0], panel["theta_2"][0]) == (-1.0, 1.5)
        assert len(panel["loss"]) == len(content["iteration"]) > 300
    a, b, c, thrown = content["panels"]
    # β damps what goes across the valley: section 5.1.
    assert a["swings across"] > 5 * b["swings across"]
    assert a["travel across"] > 2 * max(b["travel across"], c["travel across"])
    # The paper's own initial speed throws (a) out of the picture.
    assert min(thrown["farthest point"]) > 50


@pytest.mark.parametrize("name", ["torch", "jax", "keras"])
def test_every_adapter_goes_the_same_way(tmp_path, name):
    options = ("--framework", name, "--iterations", 1000)
    content = commands.made("figure1", tmp_path, *options, KERAS_BACKEND="jax")
    assert list(content["software"]) == ["numpy", name]
    for panel in content["panels"]:
        assert 0 < panel["largest difference"][name] < 1e-11


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--iterations", 5), "--iterations"), (("--framework", "caffe"), "caffe")],
)
def test_what_cannot_be_done_is_said(tmp_path, arguments, words):
    process = commands.run("figure1", tmp_path, *arguments)
    assert process.returncode != 0
    assert words in process.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_the_committed_figure_is_that_of_the_settings_and_of_every_adapter():
    content = json.loads((commands.RESULTS / "figure1.json").read_text())
    settings = json.loads((commands.BENCHMARKS / "figure1" / "settings.json").read_text())
    assert (content["lr"], content["iterations"]) == (settings["lr"], settings["iterations"])
    assert set(content["software"]) == set(valley.FRAMEWORKS)
    for panel, wanted in zip(content["panels"], settings["panels"], strict=True):
        assert panel.items() >= wanted.items()
        for found in panel["loss at marks"].values():
            # What is left at the end is how far a step takes θ past the kink at the minimum.
            assert found[:3] == pytest.approx(wanted.get("expected", found)[:3], rel=5e-3)


def test_the_picture_has_every_trajectory_loss_and_difference():
    content = json.loads((commands.RESULTS / "figure1.json").read_text())
    figure = picture.picture(content)
    panels = content["panels"][:3]
    *trajectories, loss, difference = figure.axes
    assert len(trajectories) == len(panels)
    for axes, panel, curve in zip(trajectories, panels, loss.get_lines(), strict=True):
        path, start, minimum = axes.get_lines()
        np.testing.assert_array_equal(path.get_xdata(), panel["theta_1"])
        np.testing.assert_array_equal(path.get_ydata(), panel["theta_2"])
        assert (*start.get_xdata(), *start.get_ydata()) == (-1, 1.5)
        assert (*minimum.get_xdata(), *minimum.get_ydata()) == (1, 1)
        assert f"turns back {panel['swings across']} ×" in axes.get_title()
        np.testing.assert_array_equal(curve.get_xdata(), content["iteration"])
        np.testing.assert_array_equal(curve.get_ydata(), panel["loss"])
    lines = [line for line in difference.get_lines() if len(line.get_xdata())]
    wanted = [panel["difference"][name] for name in panels[0]["difference"] for panel in panels]
    for line, values in zip(lines, wanted, strict=True):
        np.testing.assert_array_equal(np.nan_to_num(line.get_ydata()), values)
