"""What a target asks of a run: the same method and hyperparameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_core.runs.file import Parameter, Run
from indian_core.runs.target import Place, received, shared

GROUP = {"lr": 0.1, "alpha": 0.5, "beta": 0.1, "initial_speed": None, "weight_decay": 0.0}
THETA = np.array([0.1, -0.2])


def run(*groups: dict[str, Any], **fields: Any) -> Run:
    groups = groups or (GROUP,)
    parameters = {
        f"p{i}": Parameter(THETA, THETA + i, group=i)._replace(**fields) for i in range(len(groups))
    }
    return Run("INDIAN", groups, parameters, 3)


def place(dtype: str = "float64", **group: Any) -> Place:
    return Place((2,), dtype, GROUP | group)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (place(alpha=0.4), "alpha of p0"),
        (place(initial_speed=1.0), "initial_speed of p0"),
        (place(weight_decay=0.1), "weight_decay of p0"),
        (place("complex64"), "p0 is complex64"),
    ],
)
def test_a_run_that_cannot_go_on_there_is_refused(target: Place, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        received(run(), "INDIAN", {"p0": target})
    with pytest.raises(ValueError, match="INNAprop"):
        received(run(), "INNAprop", {"p0": target})


@pytest.mark.parametrize(
    ("number", "dtype", "fits"),
    [
        (6.5e4, "float16", True),
        (6.6e4, "float16", False),
        (3.38e38, "bfloat16", True),
        (3.4e38, "bfloat16", False),
        (3.4e38, "float32", True),
        (-4e38, "float32", False),
        (np.inf, "float16", True),
        (np.nan, "float16", True),
    ],
)
def test_numbers_that_would_become_infinite(number: float, dtype: str, fits: bool) -> None:
    there = run(theta=np.array([number, 1.0]))
    if fits:
        assert received(there, "INDIAN", {"p0": place(dtype)})
    else:
        with pytest.raises(ValueError, match=f"beyond {dtype}"):
            received(there, "INDIAN", {"p0": place(dtype)})


def test_what_makes_no_difference_is_not_refused() -> None:
    at_beta = place(lr=7.0, initial_speed=0.1, alpha=0.5 + 1e-8, decoupled_weight_decay=False)
    assert received(run(GROUP | {"decoupled_weight_decay": True}), "INDIAN", {"p0": at_beta})


def test_one_group_for_all() -> None:
    other = GROUP | {"weight_decay": 0.1}  # which a mask or an exclusion may have made
    assert shared(run(GROUP, other)) == (GROUP, True, 0)
    with pytest.raises(ValueError, match="alpha"):
        shared(run(GROUP, GROUP | {"alpha": 0.4}))


def test_one_count_and_one_beginning_for_all() -> None:
    two = run(GROUP, GROUP)
    late = two.parameters["p1"]._replace(momentum=np.zeros(2), begun=False)
    mixed = two._replace(parameters=two.parameters | {"p1": late})
    assert shared(mixed).begun  # from rest it makes no difference
    fast = tuple(group | {"initial_speed": 1.0} for group in mixed.groups)
    with pytest.raises(ValueError, match="begun"):
        shared(mixed._replace(groups=fast))
    counted = two._replace(parameters=two.parameters | {"p1": late._replace(steps=2)})
    with pytest.raises(ValueError, match="gradients"):
        shared(counted)
