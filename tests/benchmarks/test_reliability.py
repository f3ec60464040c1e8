"""The studies of reliability in small, and that they would notice."""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from benchmarks.reliability import drift, refusals
from benchmarks.reliability.refusals import Trial, outcome

from . import commands
from .commands import framework

# (Keras is run as commands: its backend and float type belong to a process.)
FRAMEWORKS = [framework("torch", "torch"), framework("jax", "jax", "optax")]


def refuse(text: str, error: type[Exception] = ValueError) -> Any:
    raise error(text)


def change(state: list[int]) -> None:
    state.append(1)
    refuse("Invalid alpha: 1")


def test_every_outcome_is_told_apart() -> None:
    state: list[int] = []

    def of(usable: bool | None, attempt: Any, expected: Any = None) -> str:
        return outcome(Trial("", "", attempt, usable, ("alpha",), expected, lambda: state))[0]

    assert of(True, lambda: 1) == "used"
    assert of(True, lambda: 1, lambda: 1) == "used"
    assert of(False, lambda: refuse("Invalid alpha: 1")) == "refused in words"
    assert of(False, lambda: 1) == "used, though it cannot be"
    assert of(True, lambda: refuse("alpha")) == "refused, though it can be used"
    assert of(True, lambda: np.ones(1), lambda: np.zeros(1)) == "used as another number"
    assert of(False, lambda: refuse("what?")) == "refused without its name"
    assert of(False, lambda: refuse("alpha", KeyError)) == "another exception"
    assert of(False, lambda: change(state)) == "half changed"


def test_mangled_trees() -> None:
    tree = {"a": [1, {"b": 2}]}
    found = dict(refusals.mangled(tree, lambda _: [("None", None)]))
    assert found["['a'][1]['b'] = None"] == {"a": [1, {"b": None}]}
    assert found["['a'][0] missing"] == {"a": [{"b": 2}]}
    assert found["['a'][1] with a stranger"] == {"a": [1, {"b": 2, "stranger": 1}]}
    assert tree == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_sample_of_inputs_has_no_fault(name: str) -> None:
    process = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import itertools, sys; from importlib import import_module\n"
            "from benchmarks.reliability import refusals\n"
            f"trials = import_module('benchmarks.reliability.on_{name}').trials()\n"
            "table, faults = refusals.count(itertools.islice(trials, 0, None, 25))\n"
            "print(sum(map(len, table.values())), faults); sys.exit(bool(faults))",
        ],
        cwd=commands.BENCHMARKS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr


class Drifting:
    """A run that is the reference, and then less and less so."""

    def __init__(self, by: float) -> None:
        self._by = by

    def variants(self) -> dict[str, Any]:
        return {"only": lambda *_: self}

    def go_on(self, lrs: np.ndarray, targets: np.ndarray, _curvatures: np.ndarray) -> np.ndarray:
        self._reference = getattr(self, "_reference", None) or drift.Reference()
        self._off = getattr(self, "_off", 0.0) + self._by
        return self._reference.go_on(lrs, targets) + self._off


@pytest.mark.parametrize(("by", "fails"), [(0.0, False), (1e-5, True)])
def test_drift_is_noticed(by: float, fails: bool) -> None:
    class Adapter:
        @staticmethod
        def variants() -> dict[str, Any]:
            return {"only": lambda *_: Drifting(by)}

    _, failed = drift.measure(Adapter, argparse.Namespace(steps=400))
    assert failed == fails


def test_rates_cross_what_they_are_to_cross() -> None:
    lrs = drift.rates(0, 4 * drift.SWING)
    assert lrs.min() == drift.LOWEST
    assert (lrs == 1 / drift.ALPHA).sum() == 2
    assert (lrs > 1 / drift.ALPHA).any()
    for one, other in itertools.pairwise(lrs):
        if (one - drift.BETA) * (other - drift.BETA) < 0:
            break
    else:
        pytest.fail("beta is not crossed")


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("study", ["drift", "killed"])
def test_commands(name: str, study: str, tmp_path: Any) -> None:
    process = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.reliability", study, "--framework", name),
            *("--output", str(tmp_path), "--steps", "2000", "--kills", "2"),
        ],
        cwd=commands.BENCHMARKS.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert (tmp_path / f"reliability-{study}-{name}.json").exists()
