"""The pictures draw what the committed files hold."""

import importlib
import json

import numpy as np
import pytest

from . import commands

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


@pytest.fixture
def draw():
    """Return a function that draws a figure's content, or what its file holds, changed."""

    def figure(name, change=lambda content: None):
        content = json.loads((commands.RESULTS / f"{name}.json").read_text())
        change(content)
        return importlib.import_module(f"benchmarks.{name}.picture").picture(content), content

    return figure


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_figure_1_has_every_trajectory_loss_and_difference(draw):
    figure, content = draw("figure1")
    panels = content["panels"][:3]
    *trajectories, loss, difference = figure.axes
    assert len(trajectories) == len(panels)
    for axes, panel, curve in zip(trajectories, panels, loss.get_lines(), strict=True):
        path, start, minimum = axes.get_lines()
        np.testing.assert_array_equal(path.get_xdata(), panel["theta_1"])
        np.testing.assert_array_equal(path.get_ydata(), panel["theta_2"])
        assert (*start.get_xdata(), *start.get_ydata()) == (-1, 1.5)
        assert (*minimum.get_xdata(), *minimum.get_ydata()) == (1, 1)
        # The whole path is to be seen.
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert left < min(panel["theta_1"]) < max(panel["theta_1"]) < right
        assert low < min(panel["theta_2"]) < max(panel["theta_2"]) < high
        assert f"turns back {panel['swings across']} ×" in axes.get_title()
        np.testing.assert_array_equal(curve.get_xdata(), content["iteration"])
        np.testing.assert_array_equal(curve.get_ydata(), panel["loss"])
        assert path.get_color() == curve.get_color()
    assert len({curve.get_color() for curve in loss.get_lines()}) == 3
    drawn = [line for line in difference.get_lines() if len(line.get_xdata())]
    wanted = [panel["difference"][name] for name in panels[0]["difference"] for panel in panels]
    for line, values in zip(drawn, wanted, strict=True):
        np.testing.assert_array_equal(np.nan_to_num(line.get_ydata()), values)
    labels = [text.get_text() for text in difference.get_legend().get_texts()]
    assert labels == [content["software"][name] for name in panels[0]["difference"]]


def test_figure_1_of_numpy_alone_compares_nothing(draw):
    def numpy_alone(content):
        for panel in content["panels"][:3]:
            panel["difference"] = {}

    figure, _ = draw("figure1", numpy_alone)
    assert figure.axes[-1].get_legend() is None


def test_the_precisions_have_a_bar_for_each_mean(draw):
    figure, content = draw("precision")
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
    assert texts(displacement).count(" 19") == texts(displacement).count(" 0, to 12 digits") == 3


def test_a_run_that_overflowed_is_said_to_diverge(draw):
    def overflow(content):
        content["rounding"][4]["loss"][1] = content["rounding"][4]["error"][1] = None

    figure, _ = draw("precision", overflow)
    assert texts(figure.axes[1]).count("diverges ") == 1
