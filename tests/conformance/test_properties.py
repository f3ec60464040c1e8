"""Three properties of every method: what is bad changes nothing, any schedule is the reference's.

The third, that all implementations agree, follows from the second, which each of them is held to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indian_core import METHODS
from indian_core.testing import Settings, open_loop
from tests.conformance.compare import FLOAT64, assert_same_bits, hidden, relative_error
from tests.conformance.trajectories import OPEN_LOOP
from tests.trajectories.generate import REFERENCES, Oracle

THETA, GRADIENTS = OPEN_LOOP[0].theta_0, OPEN_LOOP[0].gradients
STEPS = 8
# A step may cost a compilation, so there are few examples, the same at each run.
FEW = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

bad = st.one_of(
    st.floats(max_value=-1e-6), st.just(float("nan")), st.just(float("inf")), st.just("0.1")
)
# INNAprop's published form is 0/0 at γ = β: the oracle is the same map.
ORACLES = REFERENCES | {"INNAprop": Oracle}


@st.composite
def runs(draw: Any, method: str) -> tuple[list[float], dict[str, Any], dict[int, Any]]:
    """Draw learning rates, hyperparameters that go together, and edits of them."""
    law, scaled, _ = METHODS[method]
    found: dict[str, Any] = {}
    corners, edits = [0.0], {}
    if law == "paper":
        found |= {"alpha": draw(st.floats(0.5, 4.0)), "beta": draw(st.floats(0.1, 0.5))}
        found["weight_decay"] = draw(st.floats(0.0, 0.5))
        corners += [1 / found["alpha"], found["beta"]]  # a step without decay, and the heavy ball
        if not scaled:
            found["initial_speed"] = draw(st.floats(0.0, 2.0))
    else:
        found |= draw(dampings(scaled))
        edits = {STEPS // 2: draw(dampings(scaled))}
    if scaled:
        found["beta_2" if law == "momentum" else "sigma"] = draw(st.floats(0.5, 0.99))
        found |= {"eps": 1e-3, "weight_decay": draw(st.floats(0.0, 0.5))}
    rates = st.one_of(st.sampled_from(corners), st.floats(1e-3, 0.2))
    first = draw(st.sampled_from([0.0, 0.1]))
    return [first, *draw(st.lists(rates, min_size=STEPS - 1, max_size=STEPS - 1))], found, edits


@st.composite
def dampings(draw: Any, scaled: bool) -> dict[str, float]:
    momentum = draw(st.floats(0.1, 0.98))
    damping = (1 - momentum) + draw(st.floats(0.05, 0.95)) * momentum
    return {"beta_1" if scaled else "momentum": momentum, "damping": damping}


@FEW
@given(data=st.data())
def test_any_schedule_is_the_reference_s(
    driver: type, method: str, variant: str, data: Any
) -> None:
    if variant in getattr(driver, "slow_variants", ()):
        pytest.skip("each example would be compiled")
    lrs, numbers, edits = data.draw(runs(method))
    as_keras = method == "DampedSGD" and getattr(driver, "sgd_as_keras", False)
    oracle = ORACLES[method](THETA, **numbers, **({"as_keras": True} if as_keras else {}))
    # INDIAN's steps at a rate of 0 before its first one are none.
    none = next((k for k, lr in enumerate(lrs) if lr), STEPS) if method == "INDIAN" else 0
    run = driver(THETA, Settings(lrs, numbers, method, edits), variant, "float64")
    for v in GRADIENTS[:STEPS]:
        run.step(v)
    if none == STEPS:
        assert_same_bits(run.theta(), THETA)
        return
    *_, end = open_loop(oracle, GRADIENTS[none:STEPS], lrs[none:], edits)
    assert relative_error(run.theta(), end.theta) <= 10 * FLOAT64
    assert relative_error(hidden(run, method), end.hidden) <= 10 * FLOAT64


@FEW
@given(value=bad, data=st.data())
def test_a_bad_value_in_mid_run_raises_and_changes_nothing(
    driver: type, method: str, value: Any, data: Any
) -> None:
    names = sorted(METHODS[method].numbers.keys() - {"lr", "initial_speed"})
    if method == "DampedSGD" and getattr(driver, "has_no_sgd_decay", False):
        names.remove("weight_decay")
    edits = {1: {data.draw(st.sampled_from(names)): value}}
    run = driver(THETA, Settings([0.1] * 2, {}, method, edits), driver.variants[0], "float64")
    run.step(GRADIENTS[0])

    def state() -> list[np.ndarray]:
        # ψ follows the α and β of a group, also bad ones.
        return [*run.theta(), *(run.momentum() if METHODS[method].law == "momentum" else [])]

    before = state()
    with pytest.raises((ValueError, TypeError)):
        run.step(GRADIENTS[1])
    assert_same_bits(state(), before)
