"""The study of Figures 2 to 4, in small: its command, its resumption, its files."""

import json

import pytest

from benchmarks.training import tables
from tests.demo.idx import write_folder

from . import commands

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

CELLS = ["INDIAN (0.5, 0.1)"]  # each takes processes of its own
STUDIES = sorted(commands.RESULTS.glob("training-*.json"))
SETTINGS = json.loads((commands.BENCHMARKS / "training" / "settings.json").read_text())


def study(folder, *options):
    (folder / "data").mkdir(exist_ok=True)
    write_folder(folder / "data", samples=(70, 20), size=(5, 4))
    process = commands.run(
        "training",
        folder,
        *("--data", folder / "data", "--runs", folder / "runs", "--network", "mlp"),
        *("--epochs", 2, "--seeds", 3, 4, "--cells", *CELLS, *options),
    )
    assert process.returncode == 0, process.stderr
    text = (folder / "training-mlp-data.json").read_text()
    assert (folder / "training-mlp-data.png").read_bytes().startswith(b"\x89PNG")
    return text, process


@pytest.mark.skipif(not commands.installed("jax", "optax"), reason="no JAX installed")
def test_the_study_takes_the_best_of_each_grid_and_resumes(tmp_path):
    text, process = study(tmp_path)
    result = json.loads(text)
    assert list(result["cells"]) == CELLS
    for cell, content in result["cells"].items():
        assert [lr for lr, _ in content["grid"]] == SETTINGS["cells"][cell]["lr"]
        losses = {lr: loss for lr, loss in content["grid"] if loss is not None}
        assert content["lr"] == min(losses, key=losses.get)
        # A curve for each seed from before the first epoch on; the grid has their mean.
        assert [len(curve) for curve in content["training loss"]] == [3, 3]
        assert [len(curve) for curve in content["test accuracy"]] == [3, 3]
        finals = [curve[-1] for curve in content["training loss"]]
        assert sum(finals) / 2 == pytest.approx(losses[content["lr"]], rel=1e-4)
        assert finals[0] != pytest.approx(finals[1], rel=1e-3)
        assert cell in process.stdout

    log = next((tmp_path / "runs").glob("*.json"))
    content = json.loads(log.read_text())
    # What is left out is made again, and nothing else.
    log.write_text(json.dumps(content | {"runs": content["runs"][1:]}))
    again, _ = study(tmp_path)
    timeless = [entry["train_loss"] for entry in json.loads(log.read_text())["runs"][:-1]]
    assert timeless == [entry["train_loss"] for entry in content["runs"][1:]]
    assert json.loads(again)["cells"] == result["cells"]

    # Longer runs with the step sizes of the same grid: they begin as the short ones.
    longer = json.loads(study(tmp_path, "--epochs", 3, "--grid-epochs", 2)[0])
    for cell, content in longer["cells"].items():
        short = result["cells"][cell]
        assert (content["grid"], content["lr"]) == (short["grid"], short["lr"])
        for name in ("training loss", "test accuracy"):
            assert [len(curve) for curve in content[name]] == [4, 4]
            assert [curve[:3] for curve in content[name]] == short[name]


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
    table = tables.results(json.loads(path.read_text()), markdown=True)
    assert table in (commands.RESULTS.parent / "paper.md").read_text()
