"""The examples run as they are, and learn the digits."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .small import FRAMEWORKS

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_example_reaches_a_good_accuracy(framework):
    pytest.importorskip("sklearn", reason="the digits need scikit-learn")
    process = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::DeprecationWarning:__main__",
            EXAMPLES / f"train_{framework}.py",
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    accuracy = float(re.findall(r"test accuracy ([\d.]+)", process.stdout)[-1])
    assert accuracy >= 0.95
