"""The step times: what is measured, written, and collected into one picture."""

import importlib
import json

import pytest

from . import commands

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


README = commands.BENCHMARKS.parent / "README.md"


@pytest.fixture
def collected():
    return importlib.import_module("benchmarks.step_time.picture")


@pytest.mark.skipif(not commands.installed("torch"), reason="no torch installed")
def test_every_contender_is_measured_and_indians_ratios_are_those_of_the_medians(tmp_path):
    options = ["--framework", "torch", "--shapes", "1000 x 1000", "--repeats", 2]
    process = commands.run("step_time", tmp_path, *options, "--seconds", 0, "--builds", 2)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "step-time-torch-cpu.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((tmp_path / "step-time-torch-cpu.json").read_text())
    ours = result["sets"]["1000 x 1000"]
    assert (ours["numbers"], ours["tensors"]) == (1_000_000, 1000)
    assert "copy" in ours["contenders"]
    for row in ours["contenders"].values():
        low, high = row["quartiles_ms"]
        assert 0 < low <= row["median_ms"] <= high
        assert row["steps"] == 2 * 2
    # One buffer of float32 and some scalars.
    name = next(name for name in ours["contenders"] if name.startswith("INDIAN"))
    assert 4_000_000 <= ours["contenders"][name]["state_bytes"] < 4_100_000
    for baseline in result["baselines"]:
        ratio = ours["contenders"][name]["median_ms"] / ours["contenders"][baseline]["median_ms"]
        line = next(row for row in process.stdout.splitlines() if row.startswith(f"{name}  "))
        assert f"{ratio:.2f}" in line.split()


def written(folder, framework, backend, times, *baselines):
    result = {
        "framework": framework,
        "backend": backend,
        "device": "cpu",
        "baselines": list(baselines),
        "sets": {
            "ResNet-50": {"contenders": {name: {"median_ms": ms} for name, ms in times.items()}}
        },
    }
    stem = "-".join(filter(None, ["step-time", framework, backend, "cpu"]))
    (folder / f"{stem}.json").write_text(json.dumps(result))


def test_the_collection_is_over_two_and_a_half_copies(collected, tmp_path):
    times = {"copy": 2.0, "INDIAN (eager)": 90.0, "INDIAN (jit)": 6.0, "S (jit)": 5.0, "A (jit)": 8}
    written(tmp_path, "keras", "jax", times, "S (jit)", "A (jit)")
    times = {"copy": 1, "INDIAN": 5, "S": 2.5, "A": 10, "INNAprop": 15, "W": 12.5}
    written(tmp_path, "torch", None, times, "S", "A", "W")
    rows = collected.collect(tmp_path)
    assert rows == {
        "keras on jax, cpu": {"INDIAN": 1.2, "SGD": 1.0, "Adam": 1.6},
        "torch, cpu": {"INDIAN": 2.0, "SGD": 1.0, "Adam": 4.0, "INNAprop": 6.0, "AdamW": 5.0},
    }
    axes = collected.picture(rows).axes[0]
    heights = sorted(bar.get_height() for bar in axes.patches)
    assert heights == [0.0, 0.0, 1.0, 1.0, 1.2, 1.6, 2.0, 4.0, 5.0, 6.0]
    assert "1.20" in collected.table(rows)
    assert "1.20" in collected.table(rows)
    assert "0.75" in collected.table(rows)


@pytest.mark.parametrize(
    ("row", "file", "shapes", "contender"),
    [
        ("PyTorch, fused", "torch", "ResNet-50", "INDIAN (fused)"),
        (
            "PyTorch, fused, 1000 tensors of 1000 numbers",
            "torch",
            "1000 x 1000",
            "INDIAN (fused)",
        ),
        ("JAX and optax, jitted", "jax", "ResNet-50", "INDIAN"),
        (
            "JAX and optax, jitted, with a schedule",
            "jax",
            "ResNet-50",
            "INDIAN (cosine decay)",
        ),
        ("Keras on JAX, jitted", "keras-jax", "ResNet-50", "INDIAN (jit)"),
        ("Keras on TensorFlow, jitted", "keras-tensorflow", "ResNet-50", "INDIAN (jit)"),
        ("Keras on torch", "keras-torch", "ResNet-50", "INDIAN (eager)"),
        (
            "Keras on torch, lr = β",
            "keras-torch",
            "ResNet-50",
            "INDIAN, lr = beta (eager)",
        ),
    ],
)
def test_the_ratios_in_the_readme_are_those_of_the_files(row, file, shapes, contender):
    result = json.loads((commands.RESULTS / f"step-time-{file}-cpu.json").read_text())
    times = read(f"step-time-{file}-cpu", shapes)
    sgd, adam = (times[contender] / times[baseline] for baseline in result["baselines"][:2])
    assert f"| {row} | {sgd:.2f} | {adam:.2f} |\n" in README.read_text()


INNAPROP = {
    "PyTorch, fused": ("torch", "fused"),
    "PyTorch, fused, αβ = 1": ("torch", "fused, alpha beta = 1"),
    "PyTorch, foreach": ("torch", "foreach"),
    "JAX and optax, jitted": ("jax", None),
    "Keras on JAX, jitted": ("keras-jax", "jit"),
    "Keras on TensorFlow, jitted": ("keras-tensorflow", "jit"),
    "Keras on torch": ("keras-torch", "eager"),
}


@pytest.mark.parametrize("row", INNAPROP)
def test_innaprops_ratios_in_the_readme_are_those_of_the_files(row):
    file, how = INNAPROP[row]
    ours = f"INNAprop ({how})" if how else "INNAprop (weight decay)"
    theirs = f"AdamW ({how.partition(',')[0]})" if how else "AdamW"
    times = read(f"step-time-{file}-cpu", "ResNet-50")
    assert f"| {row} | {times[ours] / times[theirs]:.2f} |\n" in README.read_text()


TRAINED = {
    "INDIAN over SGD, PyTorch": ("torch", "INDIAN (default)", "SGD Nesterov (fused)"),
    "INNAprop over AdamW, PyTorch": ("torch", "INNAprop (default)", "AdamW (fused)"),
    "INDIAN over SGD, JAX, donated": ("jax", "INDIAN (donated)", "SGD Nesterov (donated)"),
    "INNAprop over AdamW, JAX, donated": (
        "jax",
        "INNAprop (weight decay) (donated)",
        "AdamW (donated)",
    ),
    "INNAprop, JAX, not donated, over donated": (
        "jax",
        "INNAprop (weight decay) (not donated)",
        "INNAprop (weight decay) (donated)",
    ),
    "INDIAN over SGD, Keras on JAX": ("keras-jax", "INDIAN", "SGD Nesterov"),
    "INNAprop over AdamW, Keras on JAX": ("keras-jax", "INNAprop", "AdamW"),
}


@pytest.mark.parametrize("row", TRAINED)
def test_training_ratios_in_the_readme_are_those_of_the_files(row):
    file, ours, theirs = TRAINED[row]
    ratios = []
    for batch in (16, 256):
        times = read(f"whole-step-{file}-cpu", f"perceptron, batches of {batch}")
        ratios.append(f"{times[ours] / times[theirs]:.2f}")
    assert f"| {row} | {' | '.join(ratios)} |\n" in README.read_text()


def read(file, shapes):
    rows = json.loads((commands.RESULTS / f"{file}.json").read_text())["sets"][shapes]["contenders"]
    return {name: numbers["median_ms"] for name, numbers in rows.items()}


@pytest.mark.skipif(not commands.installed("torch"), reason="no torch installed")
def test_whole_training_steps_are_measured(tmp_path):
    options = ["--framework", "torch", "--training", "--repeats", 2, "--seconds", 0, "--builds", 1]
    process = commands.run("step_time", tmp_path, *options)
    assert process.returncode == 0, process.stderr
    result = json.loads((tmp_path / "whole-step-torch-cpu.json").read_text())
    for rows in (each["contenders"] for each in result["sets"].values()):
        alone = rows["gradient alone"]
        assert alone["state_bytes"] == 0
        assert rows["INDIAN (default)"]["state_bytes"] > 4 * 1_800_000
        assert rows["INNAprop (default)"]["state_bytes"] > 8 * 1_800_000
        assert all(row["steps"] == 2 for row in rows.values())


def test_the_committed_files_are_collected(collected, tmp_path):
    rows = collected.collect(commands.RESULTS)
    assert len(rows) == len(list(commands.RESULTS.glob("step-time-*.json"))) > 0
    process = commands.run("step_time.picture", tmp_path)
    assert process.returncode != 0
    assert "it has no step times of ResNet-50" in process.stderr
