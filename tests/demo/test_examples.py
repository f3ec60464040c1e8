"""The examples run as they are, and learn the digits."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .small import FRAMEWORKS

EXAMPLES = Path(__file__).parents[2] / "examples"


def printed_by(name):
    process = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", EXAMPLES / name],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("framework", [*FRAMEWORKS, "mlx"])
def test_an_example_reaches_a_good_accuracy(framework):
    if framework == "mlx":
        pytest.importorskip("mlx.core")
    printed = printed_by(f"train_{framework}.py")
    assert float(re.findall(r"test accuracy ([\d.]+)", printed)[-1]) >= 0.95


def test_a_run_that_moves_is_the_one_that_stays():
    printed = printed_by("move_a_run.py")
    assert "DampedAdamW 50" in printed
    assert float(re.findall(r"difference from the run in PyTorch (\S+)", printed)[-1]) < 1e-4
