"""The pictures draw what the committed files hold."""

import importlib
import json

import numpy as np
import pytest

from . import commands

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


def drawn(name):
    """Return a figure, and the content that it is of."""
    content = json.loads((commands.RESULTS / f"{name}.json").read_text())
    return importlib.import_module(f"benchmarks.{name}.picture").picture(content), content


def test_figure_1_has_every_trajectory_loss_and_difference():
    figure, content = drawn("figure1")
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


def test_the_precisions_have_a_bar_for_each_mean():
    figure, content = drawn("precision")
    error, loss, displacement = figure.axes
    rows = [row for row in content["rounding"] if row["variant"].count("float32") == 2]
    widths = [bar.get_width() for bar in error.patches]
    assert widths == pytest.approx([np.mean(row["error"]) for row in rows])
    rows = [row for row in content["rounding"] if row["beta"] == 0.1]
    widths = [bar.get_width() for bar in loss.patches]
    assert widths == pytest.approx([np.mean(row["loss"]) for row in rows])
    assert [label.get_text().replace("\n", ", ") for label in loss.get_yticklabels()] == [
        row["variant"] for row in rows
    ]
    assert len(displacement.texts) >= 6
