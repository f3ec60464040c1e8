"""What a study leaves: the log and its resumption, the grid's choice, tables and pictures."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.demo import tables
from benchmarks.demo.__main__ import main
from benchmarks.harness import grid
from benchmarks.harness.log import Log
from benchmarks.harness.tables import step_size

from .idx import write_folder
from .small import INSTALLED, result, run

ROOT = Path(__file__).parents[2]


def test_a_log_gives_back_what_was_added(tmp_path):
    log = Log(tmp_path / "log.json", "digits")
    # Numbers that float32 tells apart but six digits do not.
    results = [result((2.0, 1.2345678), seed=0), result((2.0, 1.2345679), [0.1, 0.7], seed=1)]
    for one in results:
        assert one.run not in log
        log.add(one)
        assert log[one.run] == one
    assert list(Log(tmp_path / "log.json", "digits", resume=True)) == results
    assert [path.name for path in tmp_path.iterdir()] == ["log.json"]


def test_any_change_of_a_run_makes_it_another_one(tmp_path):
    log = Log(tmp_path / "log.json", "digits")
    log.add(result())
    others = {"network": ["dense classes"], "framework": "jax", "optimizer": "other"}
    others["hyperparameters"] = {"alpha": 1, "beta": 1, "initial_speed": 1}
    for field in result().run.as_dict().keys() - {"rule"}:
        other = type(run())(**(result().run.as_dict() | {field: others.get(field, 7)}))
        assert other not in log, field


def test_a_new_log_starts_empty_and_keeps_the_old_file_until_a_result_comes(tmp_path):
    path = tmp_path / "log.json"
    Log(path, "digits").add(result(seed=0))
    before = path.read_text()
    fresh = Log(path, "digits")
    assert result(seed=0).run not in fresh
    assert path.read_text() == before
    fresh.add(result(seed=1))
    assert [one.run.seed for one in Log(path, "digits", resume=True)] == [1]


def test_a_diverged_run_is_null_in_strict_json_and_nan_again(tmp_path):
    path = tmp_path / "log.json"
    Log(path, "digits").add(result((2.0, math.inf, math.nan)))

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert content["runs"][0]["train_loss"] == [2.0, None, None]
    (read,) = Log(path, "digits", resume=True)
    assert [math.isnan(record.train_loss) for record in read.records] == [False, True, True]


OTHERS = ["", "[]", '{"data": "digits"}', '{"data": "digits", "runs": [{"run": {}}]}']


@pytest.mark.parametrize("text", [*OTHERS, '{"data": "MNIST", "runs": []}'])
def test_another_log_is_not_resumed(tmp_path, text):
    path = tmp_path / "log.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"log\.json"):
        Log(path, "digits", resume=True)


def test_a_run_of_the_settings_with_every_seed():
    settings = {"rule": "sgd", "hyperparameters": {"momentum": 0.5}, "power": 0.25, "lr": [1]}
    rest = run().as_dict()
    for field in ("optimizer", *settings.keys() - {"lr"}):
        del rest[field]
    one, other = grid.with_seeds(grid.run("SGD", settings, **rest), [3, 4])
    assert one.as_dict() == rest | settings | {"optimizer": "SGD", "seed": 3, "lr": rest["lr"]}
    assert other.as_dict() == one.as_dict() | {"seed": 4}


def test_the_grid_takes_the_smallest_mean_over_seeds_and_never_a_diverged_one():
    results = [
        result((2.0, loss), lr=lr, seed=seed)
        for lr, losses in {0.1: (0.5, 0.5), 0.3: (0.1, 0.8), 1.0: (0.0, math.nan)}.items()
        for seed, loss in enumerate(losses)
    ]
    results.append(result((2.0, 0.01), lr=0.3, optimizer="another"))
    losses = grid.losses(results)
    assert losses["INDIAN"] == pytest.approx({0.1: 0.5, 0.3: 0.45, 1.0: math.nan}, nan_ok=True)
    assert grid.best(losses["INDIAN"]) == grid.best(losses["another"]) == 0.3
    with pytest.raises(ValueError, match="diverged"):
        grid.best({1.0: math.nan})


@pytest.mark.skipif(not INSTALLED, reason="no framework installed")
def test_tuning_leaves_the_step_sizes_that_the_demo_reads(tmp_path):
    """The file has the committed one's form."""
    pytest.importorskip("matplotlib", reason="the demo draws with matplotlib")
    data = write_folder(tmp_path, samples=(40, 10), size=(8, 8)) and tmp_path
    file, arguments = tmp_path / "sizes.json", ("--epochs", "1", "--frameworks", INSTALLED[0])
    main(["--data", str(data), "--tune", "--step-sizes", str(file), *arguments])
    made = json.loads(file.read_text())
    committed = json.loads((ROOT / "docs" / "results" / "demo-step-sizes.json").read_text())
    assert made.keys() == committed.keys()
    for name, entry in made["optimizers"].items():
        theirs = committed["optimizers"][name]
        assert entry.keys() == theirs.keys()
        for field in ("hyperparameters", "power", "columns"):
            assert entry[field] == theirs[field]
        assert [row[:-1] for row in entry["grid"]] == [row[:-1] for row in theirs["grid"]]
        assert entry["loss"] == min(row[-1] for row in entry["grid"] if row[-1] is not None)


def three_frameworks():
    return [
        result(losses, optimizer=optimizer, framework=framework)
        for framework, end in [("torch", 0.5), ("keras", 0.5001), ("jax", 0.4998)]
        for optimizer, losses in [("INDIAN", (2.0, 1.0, end)), ("Adam", (2.0, 0.9, 0.1))]
    ]


def test_the_tables():
    lines = tables.results(three_frameworks()).splitlines()
    assert len(lines) == 2 + 6
    assert lines[3].split()[:2] == ["INDIAN", "keras"]
    assert "0.1 (k+1)^-0.25" in lines[2]
    assert len({line.index("0.") for line in lines[2:]}) == 1
    *_, last = tables.agreement(three_frameworks(), "INDIAN").splitlines()
    assert last.split() == ["keras", "-", "jax", "0.0e+00", "3.0e-04"]


def test_a_constant_step_size_is_shown_as_a_number():
    assert step_size(0.3, 0) == "0.3"
    found = {"lr": 1, "power": 0, "hyperparameters": {"momentum": 0.9}, "loss": 0.25}
    text = tables.step_sizes({"SGD": found})
    assert text.splitlines()[-1].split() == ["SGD", "1", "momentum", "0.9", "0.25"]
