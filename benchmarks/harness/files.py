"""The commands' output files: readable JSON, with numbers of few digits, and pictures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np


def rounded(value: Any, digits: int) -> Any:
    """Return a float rounded to this many significant digits, or None if it is NaN or infinite.

    (None is JSON's null.) Floats in dicts, lists and arrays are rounded too. Other values stay as
    they are.
    """
    if isinstance(value, dict):
        return {key: rounded(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple) or np.ndim(value):
        return [rounded(each, digits) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def dumps(value: Any) -> str:
    """Return JSON with a line for each row of a table and each entry of a dict that holds one."""
    if isinstance(value, dict) and any(map(_is_table, value.values())):
        entries = ",\n".join(f"{json.dumps(key)}: {dumps(each)}" for key, each in value.items())
        return f"{{\n{entries}\n}}"
    if isinstance(value, list) and _is_table(value):
        rows = ",\n".join(json.dumps(row, allow_nan=False) for row in value)
        return f"[\n{rows}\n]"
    return json.dumps(value, allow_nan=False)


def _is_table(value: Any) -> bool:
    rows = value if isinstance(value, list) and value else [value]
    return all(isinstance(row, dict) for row in rows)


def write(path: Path, content: Any) -> None:
    """Write a JSON file so that a process stopped midway leaves the old or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(dumps(content) + "\n")
    unfinished.replace(path)


def leave(folder: Path, stem: str, content: Any, picture: Any) -> None:
    """Write a study's JSON file and its picture, and print their paths."""
    write(folder / f"{stem}.json", content)
    save(picture, folder / f"{stem}.png")
    print(f"\n{folder / stem}.json and .png")


def save(picture: Any, path: Path) -> None:
    """Write a Matplotlib figure to a PNG file whose content depends only on the figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=110, metadata={"Software": None})
