"""A training process is killed at random moments, and resumes from its last checkpoint.

At the end, the weights must be bit for bit those of an undisturbed run.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

STEPS = 3000
ROOT = Path(__file__).parents[2]


def write(path: Path, save: Callable[[BinaryIO], Any]) -> None:
    """Write a file so that it exists either as a whole or not at all."""
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        save(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def measure(adapter: Any, options: Any) -> tuple[dict[str, Any], bool]:
    """Kill a run ``options.kills`` times at most, and compare it with an undisturbed run.

    Returns:
        The figures for the file, and whether the weights differ.
    """
    name = adapter.__name__.rsplit(".", 1)[-1]
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        alone, disturbed = Path(folder, "alone"), Path(folder, "disturbed")
        began = time.perf_counter()
        with _start(name, alone) as process:
            _ready(process)
            began = time.perf_counter()
            _check(process)
        duration = time.perf_counter() - began
        kills = 0
        for _ in tqdm(range(options.kills), unit=" kills", disable=None):
            if (disturbed / "end").exists():
                break
            with _start(name, disturbed) as process:
                _ready(process)
                time.sleep(chance.uniform(0, 2 * duration / options.kills))
                kills += process.poll() is None
                process.kill()
        with _start(name, disturbed) as process:
            _check(process)
        same = (alone / "end").read_bytes() == (disturbed / "end").read_bytes()
    print(f"{kills} kills in {STEPS} steps: the weights are {'the' if same else 'NOT the'} same")
    return {"steps": STEPS, "kills": kills, "same bits": same}, not same


def _start(name: str, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", __spec__.name, name, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def _ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError(f"the training process failed: exit status {process.wait()}")


def _check(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise RuntimeError(f"the training process failed: exit status {process.returncode}")


def _train(name: str, folder: Path) -> None:
    adapter = import_module(f".{name}", __package__)
    weights = adapter.train(folder, STEPS, lambda: print("ready", flush=True))
    write(folder / "end", lambda file: file.write(weights))


if __name__ == "__main__":
    _train(sys.argv[1], Path(sys.argv[2]))
