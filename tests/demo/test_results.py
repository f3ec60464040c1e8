"""What a study leaves: the log and its resumption, the grid's choice, the table."""

import json
import math

import pytest

from benchmarks.demo import tables
from benchmarks.harness.log import Log
from benchmarks.harness.tables import step_size
from benchmarks.training.__main__ import best

from .small import result, run


def test_a_log_gives_back_what_was_added(tmp_path):
    log = Log(tmp_path / "log.json", "digits")
    # Numbers that float32 tells apart but six digits do not.
    results = [result((2.0, 1.2345678), seed=0), result((2.0, 1.2345679), [0.1, 0.7], seed=1)]
    for one in results:
        assert one.run not in log
        log.add(one)
    resumed = Log(tmp_path / "log.json", "digits")
    assert [resumed[one.run] for one in results] == results
    assert [path.name for path in tmp_path.iterdir()] == ["log.json"]
    with pytest.raises(ValueError, match=r"log\.json"):
        Log(tmp_path / "log.json", "MNIST")


def test_any_change_of_a_run_makes_it_another_one(tmp_path):
    log = Log(tmp_path / "log.json", "digits")
    log.add(result())
    others = {"network": ["dense classes"], "framework": "jax", "optimizer": "other"}
    others["hyperparameters"] = {"alpha": 1, "beta": 1, "initial_speed": 1}
    for field in result().run.as_dict().keys() - {"rule"}:
        other = type(run())(**(result().run.as_dict() | {field: others.get(field, 7)}))
        assert other not in log, field


def test_a_diverged_run_is_null_in_strict_json_and_nan_again(tmp_path):
    path, diverged = tmp_path / "log.json", result((2.0, math.inf, math.nan))
    Log(path, "digits").add(diverged)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert content["runs"][0]["train_loss"] == [2.0, None, None]
    records = Log(path, "digits")[diverged.run].records
    assert [math.isnan(record.train_loss) for record in records] == [False, True, True]


def test_the_best_of_a_grid_has_not_diverged():
    assert best({0.1: 0.5, 0.3: 0.45, 1.0: math.nan}) == 0.3
    with pytest.raises(ValueError, match="diverged"):
        best({1.0: math.nan})


def test_the_table_has_a_row_per_optimizer_and_framework_with_means_over_the_seeds():
    ends = [("torch", 0, 0.5), ("torch", 1, 0.7), ("jax", 0, 0.4998)]
    results = [result((2.0, end), framework=name, seed=seed) for name, seed, end in ends]
    _, _, first, second = tables.results(results).splitlines()
    assert first.startswith("| INDIAN | torch | 0.1 (k+1)^-0.25 | 0.600000 | 0.500000-0.700000 |")
    assert second.startswith("| INDIAN | jax |")
    assert step_size(0.3, 0) == "0.3"
