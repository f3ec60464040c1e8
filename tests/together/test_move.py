"""A run that is begun in one framework and ended in another is the unbroken one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="runs in files need it")

import jax

from indian_core.runs.file import load, save
from indian_core.runs.layouts import Move
from indian_core.testing import problems
from tests.conformance.compare import (
    FLOAT64,
    UNIT_ROUNDOFF_32,
    assert_same_bits,
    hidden,
    relative_error,
)
from tests.together.moves import ADAPTERS, STEPS, Course, course, table_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
METHODS = ["INDIAN", "INNAprop", "DampedSGD", "DampedAdamW"]
TARGETS = [name for name in ADAPTERS if name != "optax, injected"]


@pytest.fixture(autouse=True)
def _x64_is_left_as_it_was() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


COURSES = {
    method: course(
        problems.mlp(
            np.random.default_rng(1).standard_normal((40, 5)),
            np.arange(40) % 3,
            batch_size=8,
            hidden=4,
        ),
        method,
    )
    for method in METHODS
}


def go_on(run: Any, along: Course, first: int, last: int) -> None:
    for gradients in along.gradients[first:last]:
        run.step(gradients)


def bound(dtype: str, along: Course) -> float:
    """Return how far a run of these steps may be off: in float32 as in the conformance suite."""
    numbers = along.settings.hyperparameters
    sigma = numbers.get("sigma", numbers.get("beta_2", 0.0))
    steps = 8 * (STEPS + 1) + 0.5 / (1 - sigma)
    return FLOAT64 if dtype == "float64" else steps * UNIT_ROUNDOFF_32


@pytest.mark.parametrize("name", COURSES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("source", TARGETS)
def test_a_run_moves_to_every_adapter(tmp_path: Path, source: str, dtype: str, name: str) -> None:
    along = COURSES[name]
    path = tmp_path / "run.safetensors"
    for handover in (0, 1, 11) if dtype == "float64" else (11,):
        begun = along.run(source, dtype)
        go_on(begun, along, 0, handover)
        begun.save_run(path)
        for target in TARGETS:
            run = along.run(target, dtype, [theta + 1 for theta in along.theta_0])
            run.load_run(path, table_of(begun, run))
            go_on(run, along, handover, STEPS)
            error = relative_error(run.theta(), along.theta)
            assert error <= bound(dtype, along), f"to {target} at {handover}: {error:.2e}"
            if target == source:
                go_on(begun, along, handover, STEPS)
                assert_same_bits(run.theta(), begun.theta())
                method = along.settings.method
                assert_same_bits(hidden(run, method), hidden(begun, method))


@pytest.mark.parametrize("method", METHODS)
def test_injected_schedules_go_on_from_the_step(tmp_path: Path, method: str) -> None:
    along, path = COURSES[method], tmp_path / "run.safetensors"
    begun, run = along.run("torch, fused", "float64"), along.run("optax, injected", "float64")
    go_on(begun, along, 0, 11)
    begun.save_run(path)
    run.load_run(path, table_of(begun, run))
    go_on(run, along, 11, STEPS)
    assert relative_error(run.theta(), along.theta) <= FLOAT64


def test_a_run_goes_round_with_all_that_it_is(tmp_path: Path) -> None:
    """What comes back from a tour is, in float64 and from a buffer that is w, what went out."""
    along = COURSES["INNAprop"]
    start, path = along.run("torch, for-loop", "float64"), tmp_path / "run.safetensors"
    go_on(start, along, 0, 7)
    start.save_run(path)
    out, run = load(path), start
    for target in ("Keras", "optax", "torch, for-loop"):
        before, run = run, along.run(target, "float64")
        run.load_run(path, table_of(before, run))
        run.save_run(path)
    home = load(path)
    assert home.step == out.step == 7
    for name, old in out.parameters.items():
        new = home.parameters[name]
        for field in ("theta", "momentum", "squares"):
            np.testing.assert_array_equal(getattr(new, field), getattr(old, field), strict=True)
        assert (new.steps, new.begun, new.scale) == (7, True, 1.0)


def replaced(path: Path, change: Any) -> None:
    save(path, change(load(path)))


def first(run: Any) -> Any:
    return next(iter(run.parameters.values()))


def one(run: Any, **fields: Any) -> Any:
    """Return a run whose first parameter has other fields."""
    name = next(iter(run.parameters))
    return run._replace(parameters=run.parameters | {name: first(run)._replace(**fields)})


def as_indian(run: Any) -> Any:
    parameters = {name: p._replace(squares=None) for name, p in run.parameters.items()}
    return run._replace(method="INDIAN", parameters=parameters)


def with_alpha(run: Any, alpha: float) -> Any:
    return run._replace(groups=tuple(group | {"alpha": alpha} for group in run.groups))


EVERYWHERE = {
    "another method": (as_indian, "INDIAN"),
    "other alpha": (lambda r: with_alpha(r, 0.7), "alpha"),
    "fewer parameters": (
        lambda r: r._replace(parameters=dict(list(r.parameters.items())[1:])),
        "does not hold",
    ),
    "another shape": (
        lambda r: one(r, theta=np.ones(7), momentum=np.ones(7), squares=np.ones(7)),
        r"\(7,\)",
    ),
}
# What an optimizer without groups and counts of its parameters cannot hold.
KEPT_ONCE = {
    "counts": (lambda r: one(r, steps=5), "gradients"),
    "groups": (
        lambda r: one(r._replace(groups=(*r.groups, r.groups[0] | {"lr": 0.5})), group=1),
        "lr",
    ),
}
REFUSED = [
    *((adapter, name) for adapter in TARGETS for name in EVERYWHERE),
    *((adapter, name) for adapter in ("Keras", "optax") for name in KEPT_ONCE),
]


@pytest.mark.parametrize(("adapter", "name"), REFUSED)
def test_a_run_that_cannot_go_on_there_changes_nothing(
    tmp_path: Path, adapter: str, name: str
) -> None:
    along = COURSES["INNAprop"]
    path, before, after = (tmp_path / f"{name}.safetensors" for name in ("run", "before", "after"))
    change, words = (EVERYWHERE | KEPT_ONCE)[name]
    begun, run = along.run(adapter, "float64"), along.run(adapter, "float64")
    go_on(begun, along, 0, 3)
    begun.save_run(path)
    replaced(path, change)
    go_on(run, along, 0, 1)
    run.save_run(before)
    with pytest.raises(ValueError, match=words):
        run.load_run(path, table_of(begun, run))
    run.save_run(after)
    assert after.read_bytes() == before.read_bytes()


@pytest.mark.parametrize("adapter", TARGETS)
def test_a_file_or_a_table_that_is_none(tmp_path: Path, adapter: str) -> None:
    along = COURSES["INDIAN"]
    run, path = along.run(adapter, "float32"), tmp_path / "run.safetensors"
    run.save_run(path)
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(ValueError, match="run file"):
        run.load_run(path)
    path.write_bytes(content)
    with pytest.raises(TypeError, match="Move"):
        run.load_run(path, dict.fromkeys(run.names(), "a"))
    with pytest.raises(ValueError, match="elsewhere"):
        run.load_run(path, dict.fromkeys(run.names(), Move("elsewhere")))
    with pytest.raises(FileNotFoundError):
        run.load_run(tmp_path / "nowhere")


@pytest.mark.parametrize("adapter", TARGETS)
def test_a_narrower_target_rounds(tmp_path: Path, adapter: str) -> None:
    along = COURSES["INDIAN"]
    wide, narrow = along.run(adapter, "float64"), along.run(adapter, "float32")
    path, table = tmp_path / "run.safetensors", table_of(wide, narrow)
    go_on(wide, along, 0, 5)
    wide.save_run(path)
    narrow.load_run(path, table)
    assert_same_bits(narrow.theta(), [np.float64(np.float32(theta)) for theta in wide.theta()])
    go_on(narrow, along, 5, STEPS)
    assert relative_error(narrow.theta(), along.theta) <= bound("float32", along)


def test_an_initial_speed_that_was_not_given_yet(tmp_path: Path) -> None:
    along = COURSES["INDIAN"]
    torch_run, path = along.run("torch, for-loop", "float64"), tmp_path / "run.safetensors"
    go_on(torch_run, along, 0, 1)
    torch_run.save_run(path)
    replaced(path, lambda r: one(r, begun=False, momentum=0 * first(r).momentum))
    for adapter in ("Keras", "optax"):
        run = along.run(adapter, "float64")
        with pytest.raises(ValueError, match="begun"):
            run.load_run(path, table_of(torch_run, run))
    again = along.run("torch, for-loop", "float64")
    again.load_run(path, table_of(torch_run, again))
