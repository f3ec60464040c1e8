"""The tables of `figure1.py`."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.tables import table


def losses(content: dict[str, Any]) -> str:
    """Return a row for each panel in each framework: J, and how far it is from NumPy's path."""
    header = ["panel", "computed with", *(f"J at {mark:,}" for mark in content["marks"])]
    header.append(f"difference in {content['iterations']:,}")
    rows = []
    for panel in content["panels"]:
        if "expected" in panel:
            expected = panel["expected"][: len(content["marks"])]
            rows.append([panel["name"], "(expected)", *(f"{loss:.3g}" for loss in expected), ""])
        for framework, versions in content["software"].items():
            found = [f"{loss:.3g}" for loss in panel["loss at marks"][framework]]
            difference = panel["largest difference"].get(framework)
            text = "" if difference is None else f"{difference:.1e}"
            rows.append([panel["name"], versions, *found, text])
    return table(header, rows)


def oscillations(content: dict[str, Any]) -> str:
    """Return a row for each panel: how much it swings across the valley and along it."""
    header = (
        "panel",
        "alpha",
        "beta",
        "turns back across the valley",
        "way across",
        "turns back along it",
        "way along",
        "farthest from 0",
    )
    rows = [
        (
            panel["name"],
            f"{panel['alpha']:g}",
            f"{panel['beta']:g}",
            f"{panel['swings across']}",
            f"{panel['travel across']:.2f}",
            f"{panel['swings along']}",
            f"{panel['travel along']:.2f}",
            "({:.1f}, {:.1f})".format(*panel["farthest point"]) + f" at {panel['reached at']:,}",
        )
        for panel in content["panels"]
    ]
    return table(header, rows)
