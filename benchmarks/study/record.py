"""The runs of one workload: a JSON file with one line for each run, written after every run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import files
from benchmarks.study import search

SEARCHED = 0  # the seed of the grids
DIGITS = 5


class Row(NamedTuple):
    """What a search is over the rates of."""

    steps: int
    method: str
    momentum: float | None
    schedule: str

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Row:
        """Return the row that a run belongs to."""
        return cls(*(run[name] for name in cls._fields))


class Record:
    """The runs in a file.

    Args:
        path: The file.
        head: What the file says beside the runs.
        runs: The runs that it begins with.
    """

    def __init__(
        self, path: Path, head: Mapping[str, Any], runs: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self.path, self.head = path, dict(head)
        self._runs = {_key(run): dict(run) for run in runs}

    @classmethod
    def read(cls, path: Path, head: Mapping[str, Any] | None = None) -> Record:
        """Return the record in a file, or an empty one if there is a head and no file.

        Raises:
            ValueError: If the file is of another workload or of other data.
        """
        if head is not None and not path.exists():
            return cls(path, head)
        content = json.loads(path.read_text())
        runs = content.pop("runs")
        for name in ("workload", "data"):
            if head is not None and content[name] != head[name]:
                raise ValueError(f"Invalid {name}: {head[name]} ({path.name}: {content[name]})")
        return cls(path, content, runs)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._runs.values())

    def has(self, row: Row, rate: float, seed: int) -> bool:
        """Return whether a run is in the file."""
        return (row, rate, seed) in self._runs

    def run(self, row: Row, rate: float, seed: int) -> dict[str, Any]:
        """Return a run of the file."""
        return self._runs[row, rate, seed]

    def add(self, row: Row, rate: float, seed: int, ends: Mapping[str, float]) -> None:
        """Add a run, and write the file."""
        run = row._asdict() | {"rate": rate, "seed": seed} | files.rounded(dict(ends), DIGITS)
        self._runs[row, rate, seed] = run
        runs = [self._runs[key] for key in sorted(self._runs)]
        files.write(self.path, self.head | {"runs": runs})

    def rows(self, steps: int | None = None) -> list[Row]:
        """Return the rows that have runs, all or those of one length."""
        found = sorted({row for row, _, _ in self._runs})
        return [row for row in found if steps in (None, row.steps)]

    def losses(self, row: Row, name: str = "validation loss") -> dict[int, float]:
        """Return the searched runs' losses by the place of their rates, inf for diverged ones."""
        return {
            search.place(rate): math.inf if run[name] is None else run[name]
            for (each, rate, seed), run in sorted(self._runs.items())
            if each == row and seed == SEARCHED and row.schedule != "flat"
        }

    def reruns(self, row: Row, rate: float) -> list[dict[str, Any]]:
        """Return the runs at a rate from all other seeds than the search's."""
        return [
            run
            for (each, found, seed), run in sorted(self._runs.items())
            if (each, found) == (row, rate) and seed != SEARCHED
        ]


def _key(run: Mapping[str, Any]) -> tuple[Row, float, int]:
    return Row.of(run), run["rate"], run["seed"]
