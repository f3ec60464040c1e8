"""The tables of `figure1`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness.tables import table


def losses(content: dict[str, Any]) -> str:
    """Return a row for each panel in each framework: J, and the difference from NumPy's path."""
    marks, software = content["marks"], content["software"]

    def row(panel: str, name: str, found: Sequence[float], difference: str) -> dict[str, str]:
        at_marks = {
            f"J at {mark:,}": f"{loss:.3g}" for mark, loss in zip(marks, found, strict=False)
        }
        start = {"panel": panel, "computed with": name}
        return start | at_marks | {f"difference in {content['iterations']:,}": difference}

    rows = []
    for panel in content["panels"]:
        if "expected" in panel:
            rows.append(row(panel["name"], "(expected)", panel["expected"], ""))
        for framework, found in panel["loss at marks"].items():
            difference = panel["largest difference"].get(framework)
            text = "" if difference is None else f"{difference:.1e}"
            rows.append(row(panel["name"], software[framework], found, text))
    return table(rows)


def oscillations(content: dict[str, Any]) -> str:
    """Return a row for each panel: its swings across the valley and along it."""
    return table(
        [
            {
                "panel": panel["name"],
                "alpha": f"{panel['alpha']:g}",
                "beta": f"{panel['beta']:g}",
                "turns back across the valley": f"{panel['swings across']}",
                "way across": f"{panel['travel across']:.2f}",
                "turns back along it": f"{panel['swings along']}",
                "way along": f"{panel['travel along']:.2f}",
                "farthest from 0": "({:.1f}, {:.1f})".format(*panel["farthest point"])
                + f" at {panel['reached at']:,}",
            }
            for panel in content["panels"]
        ]
    )
