"""The study of Figures 2 to 4, in small: its command, its resumption, its files."""

import json

import pytest

from benchmarks.training import tables
from tests.demo.idx import write_folder

from . import commands

CELL = "INDIAN (0.5, 0.1)"
STUDIES = sorted(commands.RESULTS.glob("training-*.json"))
SETTINGS = json.loads((commands.BENCHMARKS / "training" / "settings.json").read_text())


def study(folder, **changes):
    (folder / "data").mkdir(exist_ok=True)
    write_folder(folder / "data", samples=(70, 20), size=(5, 4))
    cells = {CELL: SETTINGS["cells"][CELL]}
    small = {"network": ["dense 9", "relu", "dense classes"], "cells": cells, "name": "mlp"}
    small |= {"epochs": 2, "grid epochs": 2, "seeds": [3, 4], "grid seeds": [3, 4]} | changes
    (folder / "settings.json").write_text(json.dumps(SETTINGS | small))
    process = commands.run(
        "training",
        folder,
        *("--data", folder / "data", "--runs", folder / "runs"),
        *("--settings", folder / "settings.json"),
    )
    assert process.returncode == 0, process.stderr
    assert f"| {CELL} |" in process.stdout
    assert (folder / "training-mlp-data.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((folder / "training-mlp-data.json").read_text())


def test_the_study_takes_the_best_of_each_grid_and_resumes(tmp_path):
    result = study(tmp_path)
    ((cell, content),) = result["cells"].items()
    assert cell == CELL
    assert [lr for lr, _ in content["grid"]] == SETTINGS["cells"][cell]["lr"]
    losses = {lr: loss for lr, loss in content["grid"] if loss is not None}
    assert content["lr"] == min(losses, key=losses.get)
    # A curve for each seed from before the first epoch on; the grid has their mean.
    assert [len(curve) for curve in content["training loss"]] == [3, 3]
    assert [len(curve) for curve in content["test accuracy"]] == [3, 3]
    finals = [curve[-1] for curve in content["training loss"]]
    assert sum(finals) / 2 == pytest.approx(losses[content["lr"]], rel=1e-4)
    assert finals[0] != pytest.approx(finals[1], rel=1e-3)

    log = next((tmp_path / "runs").glob("*.json"))
    before = json.loads(log.read_text())
    # What is left out is made again, and nothing else.
    log.write_text(json.dumps(before | {"runs": before["runs"][1:]}))
    assert study(tmp_path)["cells"] == result["cells"]
    runs = json.loads(log.read_text())["runs"]
    assert runs[:-1] == before["runs"][1:]

    # Longer runs with the step sizes of the same grid: they begin as the short ones.
    longer = study(tmp_path, epochs=3)["cells"][CELL]
    assert (longer["grid"], longer["lr"]) == (content["grid"], content["lr"])
    for name in ("training loss", "test accuracy"):
        assert [len(curve) for curve in longer[name]] == [4, 4]
        assert [curve[:3] for curve in longer[name]] == content[name]


def test_every_figure_is_of_cells_that_there_are_and_every_grid_as_large():
    assert {len(cell["lr"]) for cell in SETTINGS["cells"].values()} == {6}
    shown = {cell for figure in SETTINGS["figures"].values() for cell in figure["cells"]}
    assert shown == set(SETTINGS["cells"])


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_committed_studies_are_of_these_settings(path):
    result = json.loads(path.read_text())
    for cell, content in result["cells"].items():
        settings = SETTINGS["cells"][cell]
        assert [lr for lr, _ in content["grid"]] == settings["lr"]
        for field in ("rule", "hyperparameters", "power"):
            assert content[field] == settings[field]
        assert len(content["training loss"]) == len(result["seeds"])
        assert {len(curve) for curve in content["training loss"]} == {result["epochs"] + 1}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_table_of_the_page_is_that_of_the_file(path):
    table = tables.results(json.loads(path.read_text()))
    assert table in (commands.RESULTS.parent / "paper.md").read_text()
