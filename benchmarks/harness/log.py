"""Results of runs in a JSON file, written after each run, so that a stopped study can resume."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from . import files
from .runs import Record, Run


class Result(NamedTuple):
    """A run, the versions of its framework, and its record after each epoch."""

    run: Run
    software: str
    records: tuple[Record, ...]


class Log:
    """The results in a JSON file, by run.

    Args:
        path: The file. If it exists, the log starts with its results.
        data: The name of the data set that all runs are made on.

    Raises:
        ValueError: If the file is of other data.
    """

    def __init__(self, path: Path, data: str) -> None:
        self._path, self._data = path, data
        self._results: dict[str, Result] = {}
        if path.exists():
            content = json.loads(path.read_text())
            if content["data"] != data:
                raise ValueError(f"Invalid log: {str(path)!r} (of {content['data']}, not {data})")
            self._results = {_key(one.run): one for one in map(_result, content["runs"])}

    def __contains__(self, run: Run) -> bool:
        return _key(run) in self._results

    def __getitem__(self, run: Run) -> Result:
        return self._results[_key(run)]

    def add(self, *results: Result) -> None:
        """Add results, and rewrite the file."""
        self._results |= {_key(result.run): result for result in results}
        write(self._path, self._data, self._results.values())


def write(path: Path, data: str, results: Iterable[Result]) -> None:
    """Write results to a JSON file."""
    files.write(path, {"data": data, "runs": [_entry(result) for result in results]})


def _key(run: Run) -> str:
    return json.dumps(run.as_dict(), sort_keys=True)


def _entry(result: Result) -> dict[str, Any]:
    """Return a result in its JSON form: a list per quantity, null for NaN and infinity."""
    columns = dict(zip(Record._fields, zip(*result.records, strict=True), strict=True))
    # Nine digits distinguish any two float32 numbers.
    return {"run": result.run.as_dict(), "software": result.software} | files.rounded(columns, 9)


def _result(entry: dict[str, Any]) -> Result:
    columns = [
        [math.nan if value is None else value for value in entry[name]] for name in Record._fields
    ]
    records = tuple(Record(*row) for row in zip(*columns, strict=True))
    return Result(Run(**entry["run"]), entry["software"], records)
