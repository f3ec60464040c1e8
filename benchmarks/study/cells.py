"""The cells of the study: the function that makes them, and the files that hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness import files

Cells = dict[tuple[str, str], dict[str, Any]]


def make(job: dict[str, Any], on_steps: Callable[[int], None]) -> list[dict[str, Any]]:
    """Make a method's cells on a workload; called in a separate process."""
    from benchmarks.study import runs  # noqa: PLC0415 (it loads JAX)

    points = runs.trials(job["trials"])
    cells = []
    for schedule in job["schedules"]:
        for made, content in enumerate(runs.cell(job, schedule, points, job["seeds"])):
            on_steps(int(made < job["trials"]))
            if content is not None:
                cells.append(content)
    return cells


class File:
    """The cells of one workload: a JSON file with one line for each cell."""

    def __init__(
        self, folder: Path, workload: str, seeds: Sequence[int], settings: Mapping[str, Any]
    ) -> None:
        self.path = folder / f"study-{slug(workload)}.json"
        self._settings = settings
        self._head = {
            "made by": "python -m benchmarks.study --data FOLDER",
            "workload": workload,
            "software": ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "optax")),
            "seeds": list(seeds),
        }
        self._cells: Cells = {}
        if self.path.exists():
            content = json.loads(self.path.read_text())
            if content["seeds"] != list(seeds):
                raise ValueError(f"Invalid seeds: {seeds} ({self.path.name} has others)")
            self._cells = {(c["method"], c["schedule"]): c for c in content["cells"]}

    def plan(self, method: str, trials: int, schedules: Sequence[str]) -> dict[str, Any]:
        """Return a method's missing cells and their trials, or {} if none is missing."""
        settings = self._settings
        if method in settings["sweeps"]["methods"]:
            trials, schedules = settings["sweeps"]["trials"], settings["sweeps"]["schedules"]
        if method in settings["without schedule"]:
            schedules = ["constant"] if "constant" in schedules else []
        missing = [
            schedule
            for schedule in schedules
            if len(self._cells.get((method, schedule), {"losses": ()})["losses"]) < trials
        ]
        budgets = [n for n in settings["budgets"] if n < trials] + [trials]
        plan = {
            "schedules": missing,
            "trials": trials,
            "budgets": budgets,
            "seeds": self._head["seeds"],
        }
        return plan if missing else {}

    def add(self, cells: Sequence[dict[str, Any]]) -> None:
        """Add cells, and write the file at once, its cells in the order of the settings."""
        self._cells |= {(c["method"], c["schedule"]): c for c in cells}
        order = self._settings["methods"] + self._settings["sweeps"]["methods"]
        schedules = self._settings["schedules"]
        in_order = sorted(
            self._cells.values(),
            key=lambda c: (order.index(c["method"]), schedules.index(c["schedule"])),
        )
        files.write(self.path, self._head | {"cells": in_order})


def slug(workload: str) -> str:
    """Return a workload's name in the form used in file names."""
    return "-".join(workload.lower().replace(",", "").split())
