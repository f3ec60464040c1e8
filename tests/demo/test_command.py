"""The demo's command and its worker processes, from bad arguments to the finished picture."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import workers

from .idx import write_folder
from .small import FRAMEWORKS, run

ROOT = Path(__file__).parents[2]


def demo(folder, *arguments):
    """Run the command in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.demo", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--frameworks", "caffe"), "caffe"),
        (("--epochs", "0"), "'0'"),
        (("--epochs", "1.5"), "'1.5'"),
        (("--frameworks", "torch", "--data", "nowhere"), "nowhere"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_done(tmp_path, arguments, words):
    process = demo(tmp_path, *arguments)
    assert process.returncode != 0
    assert "Traceback" not in process.stderr
    assert words in process.stderr
    assert not list(tmp_path.iterdir())


def test_keras_runs_on_the_backend_that_was_chosen_or_is_installed(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    for there, backend in [(("tensorflow", "jax"), "tensorflow"), (("jax",), "jax")]:
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, there=there: name in there or None
        )
        assert workers.keras_backend() == backend
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert workers.keras_backend() == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(ValueError, match="theano"):
        workers.check_installed(["keras"])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_worker_gives_the_results_of_its_runs(tmp_path, framework):
    write_folder(tmp_path, samples=(20, 6), size=(8, 8))
    runs = [
        run(framework=framework, network=["dense classes"], optimizer=name, seed=seed)
        for name, seed in [("one", 1), ("other", 2)]
    ]
    job = (runs, str(tmp_path))
    (results,) = workers.apart(workers.make, [job], workers.environment(framework))
    assert [result.run for result in results] == runs
    assert [[record.epoch for record in result.records] for result in results] == [[0, 1, 2]] * 2
    assert results[0].records[0].train_loss != results[1].records[0].train_loss
    assert results[0].software.startswith(framework)


def colour_and_process(number):
    if number < 0:
        raise ValueError(number)
    return number, os.environ["COLOUR"], os.getpid()


def test_a_function_is_called_in_other_processes_with_another_environment():
    found = list(workers.apart(colour_and_process, [(1,), (2,), (3,)], {"COLOUR": "blue"}, 2))
    assert sorted(number for number, *_ in found) == [1, 2, 3]
    assert {colour for _, colour, _ in found} == {"blue"}
    assert os.getpid() not in {process for *_, process in found}
    assert "COLOUR" not in os.environ


@pytest.mark.parametrize(
    ("function", "argument", "error", "words"),
    [(colour_and_process, -1, ValueError, "-1"), (os._exit, 7, RuntimeError, "terminated")],
)
def test_a_process_that_fails_ends_the_work(function, argument, error, words):
    with pytest.raises(error, match=words):
        list(workers.apart(function, [(argument,)] * 100, {}))


def test_the_whole_demo(tmp_path):
    data = tmp_path / "tiny"
    data.mkdir()
    write_folder(data, ".gz", samples=(70, 20), size=(8, 8))
    # One framework will do: the others differ in their worker, tested above, alone.
    arguments = ["--data", "tiny", "--epochs", 2, "--output", "out", "--frameworks", "torch"]
    process = demo(tmp_path, *arguments)
    assert process.returncode == 0, process.stderr
    content = json.loads((tmp_path / "out" / "demo.json").read_text())
    assert content["data"] == "tiny"
    assert len(content["runs"]) == 5 * 3
    ends: dict[str, list[float]] = {}
    for entry in content["runs"]:
        assert entry["epoch"] == [0, 1, 2]
        ends.setdefault(entry["run"]["optimizer"], []).append(entry["train_loss"][-1])
    for losses in ends.values():
        assert f"| {min(losses):.6f}-{max(losses):.6f} |" in process.stdout
    starts = {entry["run"]["seed"]: entry["train_loss"][0] for entry in content["runs"]}
    assert len(starts) == len(set(starts.values())) == 3
    for entry in content["runs"]:
        assert entry["train_loss"][0] == pytest.approx(starts[entry["run"]["seed"]], rel=1e-6)
    assert (tmp_path / "out" / "demo.png").stat().st_size > 10_000
