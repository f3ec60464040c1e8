"""The largest eigenvalue against dense solvers, and the step size that is suggested for it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indian_core.tuning import (
    SAFETY,
    curvature,
    from_curvature,
    from_gradients,
    largest_eigenvalue,
    spectral_radius,
)

curvatures = st.floats(1e-3, 1e4)
alphas = st.floats(1e-2, 10)
betas = st.floats(1e-2, 10)
H = np.array([1.0, 10.0])


def symmetric(size: int, seed: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    return matrix + matrix.T


@pytest.mark.parametrize("size", [1, 2, 24, 25, 26, 150])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_eigenvalue_is_that_of_a_dense_solver(size: int, dtype: Any) -> None:
    matrix = symmetric(size, 0)
    narrow = matrix.astype(dtype)

    def product(v: np.ndarray) -> np.ndarray:
        return (narrow @ v.astype(dtype)).astype(np.float64)

    spectrum = np.linalg.eigvalsh(matrix)
    found = largest_eigenvalue(product, size)
    assert found == pytest.approx(spectrum[-1], abs=1e-3 * max(abs(spectrum)))


@pytest.mark.parametrize(
    "spectrum",
    [
        np.full(100, 3.0),
        np.full(100, -3.0),
        np.r_[np.zeros(99), 5.0],
        np.r_[np.zeros(50), -np.ones(50)],  # zero is the largest: no relative error reaches it
        np.r_[-1e6, np.linspace(0, 1, 99)],
        np.geomspace(1e-12, 1e-9, 100),
        np.geomspace(1e9, 1e12, 100),
    ],
    ids=["identity", "-identity", "rank one", "concave", "one steep descent", "tiny", "huge"],
)
def test_the_eigenvalue_of_special_spectra(spectrum: np.ndarray) -> None:
    reflection = np.random.default_rng(3).standard_normal(100)
    reflection /= np.linalg.norm(reflection)

    def product(v: np.ndarray) -> np.ndarray:
        v = v - 2 * reflection * (reflection @ v)
        v = spectrum * v
        return v - 2 * reflection * (reflection @ v)

    scale = np.sqrt(np.mean(spectrum**2))
    assert largest_eigenvalue(product, 100) == pytest.approx(max(spectrum), abs=2e-3 * scale)


def test_the_same_matrix_gives_the_same_number_whatever_numpys_random_state() -> None:
    matrix = symmetric(60, 6)
    first = largest_eigenvalue(lambda v: matrix @ v, 60)
    state = np.random.get_state()  # noqa: NPY002 (the user's, whichever generator that is)
    assert largest_eigenvalue(lambda v: matrix @ v, 60) == first
    np.testing.assert_array_equal(state[1], np.random.get_state()[1])  # noqa: NPY002


def test_a_flat_loss_has_curvature_zero() -> None:
    assert largest_eigenvalue(np.zeros_like, 3) == 0
    assert largest_eigenvalue(np.zeros_like, 1000) == 0


@pytest.mark.parametrize("size", [3, 100])
def test_a_product_that_is_not_finite_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="NaN"):
        largest_eigenvalue(lambda v: v * np.nan, size)


def test_an_iteration_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature, "_RESTARTS", 1)
    crowded = np.linspace(0, 1, 5000)
    with pytest.raises(RuntimeError, match="not found in 1 restarts"):
        largest_eigenvalue(lambda v: crowded * v, 5000)


def test_without_scipy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)  # type: ignore[arg-type]
    with pytest.raises(ImportError, match="pip install scipy"):
        largest_eigenvalue(lambda v: v, 1000)


@given(curvatures, alphas, betas)
def test_above_the_limit_the_steepest_or_the_flattest_direction_is_not(
    largest: float, alpha: float, beta: float
) -> None:
    lr = from_curvature(largest, alpha, beta, safety=1.001).lr
    ends = spectral_radius(lr, alpha, beta, np.array([0.0, largest]))
    # A curvature of zero has a root of one at every step size: it is the other that leaves.
    assert max(abs(1 - lr * alpha), ends[1]) > 1


@given(curvatures, alphas, betas, st.floats(1e-3, 1e3))
def test_a_scaled_loss_has_the_step_size_of_the_scaled_hyperparameters(
    largest: float, alpha: float, beta: float, c: float
) -> None:
    scaled = from_curvature(c * largest, alpha, beta)
    plain = from_curvature(largest, alpha / np.sqrt(c), np.sqrt(c) * beta)
    assert scaled.lr * np.sqrt(c) == pytest.approx(plain.lr, rel=1e-9)


@given(curvatures, alphas, betas, st.floats(0.01, 2))
def test_the_papers_start_is_for_first_steps_that_do_not_overshoot(
    largest: float, alpha: float, beta: float, safety: float
) -> None:
    found = from_curvature(largest, alpha, beta, safety)
    overshoots = found.lr * largest > 1
    assert found.initial_speed == (min(1, beta) if overshoots else 1)


@pytest.mark.parametrize("largest", [0.0, -3.0, 1e-9])
def test_where_curvature_sets_no_limit_alpha_does_and_a_warning_says_so(largest: float) -> None:
    found = from_curvature(largest, alpha=0.5, beta=0.1)
    assert found.limit == 2 / 0.5
    assert found.lr == SAFETY * found.limit
    (text,) = found.warnings
    assert "flat" in text
    assert f"{largest:.4g}" in text
    assert f"warning: {text}" in str(found)
    assert from_curvature(1.0, alpha=0.5, beta=0.1).warnings == ()


def test_the_report_names_what_it_found() -> None:
    text = str(from_curvature(100.0, alpha=0.5, beta=0.25, safety=0.5))
    for part in ("100", "alpha=0.5", "beta=0.25", "lr=0.0", "initial_speed=0.25", "safety 0.5"):
        assert part in text


def test_nothing_follows_from_no_curvature_and_no_friction() -> None:
    with pytest.raises(ValueError, match="alpha=0"):
        from_curvature(-1.0, alpha=0.0)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"curvature": float("nan")}, "curvature"),
        ({"curvature": float("-inf")}, "curvature"),
        ({"curvature": 1.0, "alpha": -1.0}, "alpha"),
        ({"curvature": 1.0, "beta": 0.0}, "beta"),
        ({"curvature": 1.0, "safety": 0.0}, "safety"),
        ({"curvature": 1.0, "safety": float("inf")}, "safety"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"Invalid {name}"):
        from_curvature(**arguments)


def test_far_from_its_kinks_a_loss_is_flat() -> None:
    with pytest.warns(UserWarning, match="flat or concave here"):
        found = from_gradients(np.sign, [np.full(40, 100.0)], 0.5, 0.1, SAFETY)
    assert found.limit == 4


# At a critical point, and where the step leaves the loss's domain.
@pytest.mark.parametrize(
    "gradient",
    [lambda d: H * d, lambda d: np.full(2, np.nan) if abs(d).max() > 1e-3 else 1 + H * d],
)
def test_where_a_step_teaches_nothing_the_differences_are_all_there_is(gradient: Any) -> None:
    found = from_gradients(lambda theta: [gradient(theta[0])], [np.zeros(2)], 0.5, 0.1, SAFETY)
    assert found.curvature == pytest.approx(10)


def test_idle_parameters_do_not_widen_the_differences() -> None:
    """log cosh(20 w), whose curvature is 400 at 0 and falls within 0.05, in float32."""
    start = [np.zeros(1), np.ones(10_000)]
    found = from_gradients(
        lambda theta: [20 * np.tanh(20 * theta[0]), 0 * theta[1]], start, 0.5, 0.1, SAFETY, 2.0**-23
    )
    assert found.curvature == pytest.approx(400, rel=0.05)


@pytest.mark.parametrize(
    ("gradient", "params", "name"),
    [
        (lambda theta: [theta[0] + np.inf], [np.ones(2)], "loss"),
        (lambda theta: [theta[0][:1]], [np.ones(2)], "gradient"),
        (lambda theta: theta, [], "params"),
    ],
)
def test_bad_gradients_and_parameters_are_named(gradient: Any, params: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"Invalid {name}"):
        from_gradients(gradient, params, 0.5, 0.1, SAFETY)
