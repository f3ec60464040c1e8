"""The reference trajectories of tests/trajectories, as the suite uses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from indian_core.testing import Arrays, Problem, ReferenceINDIAN, Settings
from tests.trajectories.generate import HERE, REFERENCES, problem_by_name


@dataclass(frozen=True)
class Checkpoint:
    step: int
    theta: Arrays
    psi: Arrays


@dataclass(frozen=True)
class Trajectory:
    name: str
    essential: bool
    settings: Settings
    theta_0: Arrays
    checkpoints: list[Checkpoint]
    gradients: list[Arrays]
    problem_name: str | None = None

    @property
    def method(self) -> str:
        return self.settings.method

    @property
    def problem(self) -> Problem:
        assert self.problem_name is not None
        return problem_by_name(self.problem_name)

    def reference(self, theta_0: Arrays) -> ReferenceINDIAN:
        return REFERENCES[self.method](theta_0, **self.settings.hyperparameters)


def _arrays(lists: list[Any]) -> Arrays:
    return [np.array(values, np.float64) for values in lists]


def _read(name: str) -> list[Trajectory]:
    content = json.loads((HERE / name).read_text())
    return [
        Trajectory(
            name=case["name"],
            essential=case["essential"],
            settings=Settings(case["lrs"], case["hyperparameters"], case["method"]),
            theta_0=_arrays(case.get("theta_0") or content["theta_0"]),
            checkpoints=[
                Checkpoint(point["step"], _arrays(point["theta"]), _arrays(point["psi"]))
                for point in case["checkpoints"]
            ],
            gradients=[_arrays(gradient) for gradient in content.get("gradients", [])],
            problem_name=case.get("problem"),
        )
        for case in content["trajectories"]
    ]


OPEN_LOOP = _read("open_loop.json")
CLOSED_LOOP = _read("closed_loop.json")


def by_name(name: str) -> Trajectory:
    """Return the one trajectory of this name."""
    (found,) = [t for t in OPEN_LOOP + CLOSED_LOOP if t.name == name]
    return found
