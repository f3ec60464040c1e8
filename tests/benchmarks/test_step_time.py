"""The step times: what is measured, and what the page says of it."""

import json

import pytest

from benchmarks.step_time import page

from . import commands


def test_every_contender_is_measured_and_indians_ratios_are_those_of_the_medians(tmp_path):
    options = ["--framework", "torch", "--shapes", "1000 x 1000", "--repeats", 2]
    process = commands.run("step_time", tmp_path, *options, "--seconds", 0, "--builds", 2)
    assert process.returncode == 0, process.stderr
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
        line = next(row for row in process.stdout.splitlines() if row.startswith(f"| {name} |"))
        assert f"{ratio:.2f}" in line.split()


@pytest.mark.parametrize("table", ["steps", "whole_steps"])
def test_the_tables_of_the_page_are_those_of_the_files(table):
    made = getattr(page, table)(commands.RESULTS)
    assert made.count("\n") > 4
    assert made in (commands.RESULTS.parent / "speed.md").read_text()


def test_damped_adamw_takes_less_than_torchs_default_and_over_twice_its_fused_adamw():
    """As README and the guide say."""
    result = json.loads((commands.RESULTS / "step-time-torch-cpu.json").read_text())
    rows = result["sets"]["ResNet-50"]["contenders"]
    ours = rows["DampedAdamW (default)"]["median_ms"]
    assert ours < rows["AdamW (for-loop)"]["median_ms"]  # PyTorch's default on a CPU
    assert 2 < ours / rows["AdamW (fused)"]["median_ms"] < 2.5


def test_a_ratio_is_over_the_framework_s_fastest():
    times = {"INDIAN (fused)": 3, "SGD Nesterov (fused)": 2, "AdamW (fused)": 5}
    times |= {"INNAprop (fused)": 6, "AdamW (foreach)": 4, "DampedSGD (fused)": 2}
    found = page.ratios({name: {"median_ms": ms} for name, ms in times.items()})
    assert found == {
        "INDIAN / SGD": "1.50",
        "DampedSGD / SGD": "1.00",
        "INNAprop / AdamW": "1.50",
        "DampedAdamW / AdamW": "",
    }


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
