"""The reference trajectories of tests/trajectories, as the suite uses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from indian_core.testing import Arrays, Problem, Reference, Settings
from tests.trajectories.generate import HERE, REFERENCES, problem_by_name


@dataclass(frozen=True)
class Checkpoint:
    step: int
    theta: Arrays
    hidden: Arrays | None  # ψ or the momentum buffer; None where a framework may keep none


@dataclass(frozen=True)
class Trajectory:
    name: str
    essential: bool
    settings: Settings
    theta_0: Arrays
    checkpoints: list[Checkpoint]
    gradients: list[Arrays]
    problem_name: str | None = None
    as_keras: bool | None = None  # of the two forms of SGD's momentum

    @property
    def method(self) -> str:
        return self.settings.method

    @property
    def problem(self) -> Problem:
        assert self.problem_name is not None
        return problem_by_name(self.problem_name)

    def reference(self, theta_0: Arrays) -> Reference:
        form = {"as_keras": True} if self.as_keras else {}
        return REFERENCES[self.method](theta_0, **self.settings.hyperparameters, **form)

    def is_of(self, driver: type) -> bool:
        """Return whether the driver has the method, and SGD in this form."""
        form = getattr(driver, "sgd_as_keras", False)
        return self.method in driver.methods and self.as_keras in (None, form)


def _arrays(lists: list[Any]) -> Arrays:
    return [np.array(values, np.float64) for values in lists]


def _read(name: str) -> list[Trajectory]:
    content = json.loads((HERE / name).read_text())
    return [
        Trajectory(
            name=case["name"],
            essential=case["essential"],
            settings=Settings(
                case["lrs"],
                case["hyperparameters"],
                case["method"],
                {int(k): numbers for k, numbers in case.get("edits", {}).items()},
            ),
            theta_0=_arrays(case.get("theta_0") or content["theta_0"]),
            checkpoints=[
                Checkpoint(
                    point["step"],
                    _arrays(point["theta"]),
                    None if _has_no_momentum(case) else _arrays(point["hidden"]),
                )
                for point in case["checkpoints"]
            ],
            gradients=[_arrays(gradient) for gradient in content.get("gradients", [])],
            problem_name=case.get("problem"),
            as_keras=case.get("as_keras"),
        )
        for case in content["trajectories"]
    ]


def _has_no_momentum(case: dict[str, Any]) -> bool:
    numbers = case["hyperparameters"]
    return 0.0 in (numbers.get("momentum"), numbers.get("beta_1"))


OPEN_LOOP = _read("open_loop.json")
CLOSED_LOOP = _read("closed_loop.json")


def by_name(name: str) -> list[Trajectory]:
    """Return the trajectory of this name, in each of its forms."""
    found = [t for t in OPEN_LOOP + CLOSED_LOOP if t.name == name]
    assert found, name
    return found
