"""Figure 1: the paths of every adapter, what is measured on a path, and the committed figure."""

import json
import math

import numpy as np
import pytest

from benchmarks.figure1 import valley
from benchmarks.figure1.valley import Panel
from indian_core import coefficients

from . import commands
from .commands import framework

FRAMEWORKS = [
    framework("torch", "torch"),
    framework("jax", "jax", "optax"),
    framework("keras", "keras", "jax"),
]
needs_pictures = pytest.mark.skipif(
    not commands.installed("matplotlib", "tqdm"), reason="no matplotlib or tqdm installed"
)


def test_a_damped_oscillation_turns_back_as_often_as_it_is_large():
    time = np.arange(0, 10, 0.001)
    wave = np.exp(-time) * np.cos(2 * np.pi * time)
    # Extremes near t = 0, 1/2, 1, …, of sizes near exp(−t): the ways between them are
    # exp(−t) (1 + exp(−1/2)), more than 0.01 up to t = 5; the start is no turn.
    ways = [math.exp(-k / 2) * (1 + math.exp(-1 / 2)) for k in range(20)]
    assert valley.swings(wave, 0.01) == sum(way > 0.01 for way in ways) - 1
    assert valley.swings(wave, 0.0) > valley.swings(wave, 0.01) > valley.swings(wave, 0.1)


@pytest.mark.parametrize("path", [np.exp(-np.arange(0, 5, 0.1)), np.zeros(9), np.arange(9.0)])
def test_a_way_that_never_turns_has_no_swings(path):
    assert valley.swings(path, 0.001) == 0
    assert valley.travel(path) == pytest.approx(abs(path[-1] - path[0]))


def test_the_way_counts_there_and_back():
    assert valley.travel(np.array([0.0, 1.0, -1.0, 0.5])) == 4.5


def test_the_valleys_floor_and_loss():
    path = np.array([[-1.0, 1.5], [-0.5, 0.5], [1.0, 1.0], [2.0, 1.0]])
    np.testing.assert_array_equal(valley.across(path), [0.5, 0, 0, -1])
    np.testing.assert_array_equal(valley.losses(path), [27, 1.5, 0, 101])
    np.testing.assert_array_equal(valley.losses(path.reshape(2, 2, 2)), [[27, 1.5], [0, 101]])


def test_numpys_path_is_the_momentum_forms():
    """The step of the adapters, in plain floats, with the gradient of J where it is smooth."""
    panels = [Panel("one", 0.5, 0.01, 0.01), Panel("other", 1.3, 0.1, 1.0)]
    lr, steps = 1e-4, 400
    _, path = valley.trace("numpy", panels, lr, steps, 100, "cpu")
    assert path.shape == (4, 2, 2)
    for i, panel in enumerate(panels):
        x, y = -1.0, 1.5
        u = w = 0.0
        for k in range(steps):
            # Left of the axis: |x| = −x, |1 − x| = 1 − x.
            gradient = 200 * (y + x) - 1, 200 * (y + x)
            a, b, c, d = coefficients(lr, *panel[1:], first=k == 0)
            x, y = x + a * u + b * gradient[0], y + a * w + b * gradient[1]
            u, w = c * u + d * gradient[0], c * w + d * gradient[1]
        assert x < 0
        np.testing.assert_allclose(path[-1, i], [x, y], rtol=1e-12)


@needs_pictures
def test_the_loss_falls_as_in_the_paper(tmp_path):
    content, text = commands.made(
        "figure1", tmp_path, "--framework", "numpy", "--iterations", 20_000
    )
    assert content["marks"] == [10_000, 20_000]
    assert list(content["software"]) == ["numpy"]
    for panel in content["panels"][:3]:
        found = panel["loss at marks"]["numpy"]
        assert found == pytest.approx(panel["expected"][:2], rel=5e-3)
        assert all(f"{loss:.3g}" in text for loss in found)
        assert (panel["theta_1"][0], panel["theta_2"][0]) == (-1.0, 1.5)
        assert len(panel["loss"]) == len(content["iteration"]) > 300
    a, b, c, thrown = content["panels"]
    # β damps what goes across the valley: section 5.1.
    assert a["swings across"] > 5 * b["swings across"]
    assert a["travel across"] > 2 * max(b["travel across"], c["travel across"])
    # The paper's own initial speed throws (a) out of the picture.
    assert min(thrown["farthest point"]) > 50


@needs_pictures
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_adapter_goes_the_same_way(tmp_path, name):
    content, text = commands.made(
        "figure1",
        tmp_path,
        *("--framework", name, "--iterations", 1000),
        KERAS_BACKEND="jax",
    )
    assert list(content["software"]) == ["numpy", name]
    for panel in content["panels"]:
        assert 0 < panel["largest difference"][name] < 1e-11
        assert f"{panel['largest difference'][name]:.1e}" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--iterations", 5), "--iterations must be a positive multiple of 10"),
        (("--iterations", 0), "--iterations must be a positive multiple of 10"),
        (("--framework", "caffe"), "invalid choice: 'caffe'"),
    ],
)
@needs_pictures
def test_bad_arguments_are_refused(tmp_path, arguments, words):
    process = commands.run("figure1", tmp_path / "new", *arguments)
    assert process.returncode != 0
    assert words in process.stderr
    assert not (tmp_path / "new").exists()


@needs_pictures
@pytest.mark.parametrize("name", [framework("torch", "torch"), framework("keras", "keras", "jax")])
def test_a_device_that_is_not_there_is_said_to_be_missing(tmp_path, name):
    arguments = ("--framework", name, "--device", "cuda", "--iterations", 10)
    # Whatever the machine has, this process sees none of it.
    hidden = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    process = commands.run("figure1", tmp_path, *arguments, **hidden)
    assert process.returncode == 1
    last = process.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: ")
    assert "cuda" in last.lower()
    assert "Traceback" not in process.stderr


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
