"""Runs the commands in benchmarks/ as a user does, and loads their modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS.parent / "docs" / "results"


def run(
    script: str, folder: Path, *arguments: Any, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a study's command with its output in a folder."""
    command = [sys.executable, "-m", f"benchmarks.{script}", "--output", folder, *arguments]
    return subprocess.run(
        list(map(str, command)),
        cwd=BENCHMARKS.parent,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def made(script: str, folder: Path, *arguments: Any, **environment: str) -> Any:
    """Return the JSON that a command leaves beside its picture."""
    process = run(script, folder, *arguments, **environment)
    assert process.returncode == 0, process.stderr
    assert (folder / f"{script}.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((folder / f"{script}.json").read_text())
