"""What people's scripts do to an optimizer: write numbers, subclass it, step by hand, diverge."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import INDIAN, DampedAdamW, DampedSGD, INNAprop
from tests.on_keras.runs import (
    apply,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    fit,
    gradients,
    model,
    only_on,
    program,
    variables,
)

METHODS: dict[str, Callable[..., Any]] = {
    "INDIAN": functools.partial(INDIAN, learning_rate=0.25, initial_speed=1.0),
    "INNAprop": functools.partial(INNAprop, learning_rate=0.25),
    "DampedSGD": functools.partial(DampedSGD, learning_rate=0.25, damping=0.3),
    "DampedAdamW": functools.partial(DampedAdamW, learning_rate=0.25),
}


@pytest.fixture(params=METHODS)
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return METHODS[request.param]


# What is written into an attribute is used at the next step, or refused.


def test_a_number_that_is_written_is_used() -> None:
    """A population-based tuner's loop: SGD's result is .407."""

    def run(optimizer: Any) -> float:
        theta = keras.Variable([1.0])
        for momentum in (0.5, 0.6, 0.7, 0.8, 0.9):
            optimizer.momentum = momentum
            optimizer.apply([ops.convert_to_tensor(theta)], [theta])
        return float(array(theta)[0])

    expected = run(keras.optimizers.SGD(0.1, momentum=0.9))
    assert run(DampedSGD(0.1)) == pytest.approx(expected, rel=1e-6)


NUMBERS = {
    "INDIAN": {"alpha": 0.5, "beta": 0.5, "learning_rate": 0.125, "weight_decay": 0.5},
    "INNAprop": {"alpha": 0.5, "beta": 0.5, "sigma": 0.5, "epsilon": 0.5, "weight_decay": 0.5},
    "DampedSGD": {"momentum": 0.75, "damping": 0.5, "learning_rate": 0.125, "weight_decay": 0.5},
    "DampedAdamW": {"beta_1": 0.75, "beta_2": 0.5, "epsilon": 0.5, "damping": 0.5},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["eager", "compiled anew"])
def test_every_number_takes_effect_at_the_next_step(method: str, way: str, float64: None) -> None:
    """Written one by one before a step, they make the step of an optimizer that has them."""
    theta, other = variables(), variables()
    edited = METHODS[method]()
    apply(edited, theta, gradients(0))
    config = edited.get_config() | NUMBERS[method]
    made = type(edited).from_config(config)
    made.build(other)
    for new, old in zip([*other, *made.variables], [*theta, *edited.variables], strict=True):
        new.assign(array(old))
    made.learning_rate = config["learning_rate"]
    for name, value in NUMBERS[method].items():
        setattr(edited, name, value)
    if way == "eager":
        apply(edited, theta, gradients(1))
    else:
        program(edited, theta)(gradients(1))
    apply(made, other, gradients(1))
    assert_close([*theta, *edited.momentums], arrays([*other, *made.momentums]), 1e-12)


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        *(("INDIAN", n, v) for n, v in (("alpha", -1.0), ("beta", 0.0), ("initial_speed", "1"))),
        *(("INNAprop", n, v) for n, v in (("sigma", 1.0), ("epsilon", -1.0), ("beta", (0.9, 1)))),
        *(("DampedSGD", n, v) for n, v in (("momentum", 1.5), ("damping", 2), ("nesterov", "no"))),
        *(("DampedAdamW", n, v) for n, v in (("beta_1", 1.0), ("beta_2", None), ("damping", -1))),
        # Numbers of other methods.
        ("INDIAN", "momentum", 0.9),
        ("INNAprop", "beta_1", 0.9),
        ("INNAprop", "initial_speed", 1.0),
        ("DampedSGD", "alpha", 0.1),
        ("DampedAdamW", "nesterov", True),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(method: str, name: str, value: Any) -> None:
    optimizer = METHODS[method]()
    before = optimizer.get_config()
    with pytest.raises((TypeError, ValueError, AttributeError), match=name):
        setattr(optimizer, name, value)
    assert optimizer.get_config() == before


@pytest.mark.parametrize(
    ("optimizer", "name", "value"),
    [
        (DampedSGD(0.1, damping=0.3), "momentum", 0.5),
        (DampedSGD(0.1, damping=0.3), "momentum", 1.0),
        (DampedSGD(0.1, damping=0.3), "nesterov", True),
        (DampedAdamW(0.1), "beta_1", 0.5),
        (DampedAdamW(0.1), "damping", None),
    ],
    ids=lambda value: getattr(value, "method", str(value)),
)
def test_numbers_that_do_not_go_together_are_refused_in_the_step(
    optimizer: Any, name: str, value: Any
) -> None:
    theta = variables()
    apply(optimizer, theta, gradients(0))
    setattr(optimizer, name, value)
    before = arrays([*theta, *optimizer.variables])
    with pytest.raises((TypeError, ValueError), match=r"damping|momentum"):
        apply(optimizer, theta, gradients(1))
    assert_same_bits([*theta, *optimizer.variables], before)


class Rising(keras.optimizers.schedules.LearningRateSchedule):
    """A damping of 1/4, 1/2, 3/4, 1, 1, …"""

    def __call__(self, step: Any) -> Any:
        return ops.minimum((ops.cast(step, "float32") + 1) / 4, 1.0)

    def get_config(self) -> dict:
        return {}


@pytest.mark.parametrize("method", [DampedSGD, DampedAdamW])
def test_a_scheduled_damping_works_in_a_program(method: type, float64: None) -> None:
    numbers = {"momentum" if method is DampedSGD else "beta_1": 0.875}
    scheduled = method(0.125, damping=Rising(), **numbers)
    edited = method(0.125, **numbers)
    theta, other = variables(), variables()
    step = program(scheduled, theta)
    for k in range(5):
        edited.damping = min((k + 1) / 4, 1.0)
        step(gradients(k))
        apply(edited, other, gradients(k))
    assert_close(theta, arrays(other), 1e-12)
    custom = {"Rising": Rising}
    copy = method.from_config(scheduled.get_config(), custom)
    assert isinstance(copy.damping, Rising)
    assert copy.get_config() == scheduled.get_config()


def test_a_scheduled_damping_is_checked_where_its_values_are_known() -> None:
    theta = variables()
    optimizer = DampedSGD(
        0.125, 0.5, damping=keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    )
    apply(optimizer, theta, gradients(0))
    apply(optimizer, theta, gradients(1))  # 1/2 = 1 − m
    before = arrays([*theta, *optimizer.variables])
    with pytest.raises(ValueError, match=r"damping: 0\.25"):
        apply(optimizer, theta, gradients(2))
    assert_same_bits([*theta, *optimizer.variables], before)
    with pytest.raises(ValueError, match="damping"):
        DampedSGD(0.125, 0.5, nesterov=True, damping=Rising())


# A schedule's end.


@pytest.mark.parametrize("kind", ["float", "schedule", "variable"])
def test_rounding_dust_is_a_rate_of_zero(make: Callable, kind: str) -> None:
    """As LinearLR and PolynomialDecay end at −3e-18, in a checkpoint too."""

    class Ended(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return ops.where(step < 1, 0.25, -3e-18)

    theta, other = variables(), variables()
    optimizer, stopped = make(learning_rate=Ended()) if kind == "schedule" else make(), make()
    apply(optimizer, theta, gradients(0))
    apply(stopped, other, gradients(0))
    if kind == "float":
        optimizer.learning_rate = -3e-18
    elif kind == "variable":
        optimizer._learning_rate.assign(-3e-18)
    stopped.learning_rate = 0.0
    apply(optimizer, theta, gradients(1))
    apply(stopped, other, gradients(1))
    assert_same_bits(theta, arrays(other))
    if kind == "variable":
        store: dict[str, np.ndarray] = {}
        optimizer.save_own_variables(store)
        stopped.load_own_variables(store)
    optimizer._learning_rate = lambda: -0.1
    with pytest.raises(ValueError, match="learning rate"):
        apply(optimizer, theta, gradients(2))


# Subclasses and steps by hand.


def frozen(base: type) -> type:
    """Return a subclass that trains nothing: its update_step multiplies the rate by 0."""

    class Frozen(base):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(gradient, variable, learning_rate * 0)

    return Frozen


@pytest.mark.parametrize("base", [INDIAN, INNAprop, DampedSGD, DampedAdamW])
def test_a_subclass_s_update_step_is_used(base: type) -> None:
    theta = variables()
    optimizer = frozen(base)(learning_rate=0.1)
    for k in range(3):
        apply(optimizer, theta, gradients(k))
    assert_same_bits(theta, arrays(variables()))


def test_a_subclass_s_direction_is_used_in_a_fit() -> None:
    """SGD on the signs of the gradients, and its own rate for each layer, as users write it."""

    def signs(base: type) -> type:
        class Signs(base):
            def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
                factor = 2.0 if len(variable.shape) == 2 else 1.0
                super().update_step(ops.sign(gradient), variable, learning_rate * factor)

        return Signs

    ends = []
    for base in (keras.optimizers.SGD, DampedSGD):
        made = model(signs(base)(0.125, momentum=0.5))
        fit(made)
        ends.append(arrays(made.trainable_variables))
    assert_close(*ends, 1e-5)


def test_an_update_step_of_the_instance_is_used() -> None:
    optimizer, theta = DampedSGD(0.1), variables()
    optimizer.build(theta)
    object.__setattr__(optimizer, "update_step", lambda *arguments: None)
    apply(optimizer, theta, gradients(0))
    assert_same_bits(theta, arrays(variables()))


@pytest.mark.parametrize("base", [INNAprop, DampedSGD])
def test_other_hooks_of_keras_are_used(base: type) -> None:
    assigned = []

    class Watched(base):
        def assign(self, variable: Any, value: Any) -> None:
            assigned.append(variable)
            super().assign(variable, value)

        def _apply_weight_decay(self, variables: Any) -> None:
            pass

    theta, other = variables(), variables()
    watched, free = Watched(0.1, weight_decay=0.5), base(0.1, weight_decay=None)
    for k in range(2):
        apply(watched, theta, gradients(k))
        apply(free, other, gradients(k))
    assert_close(theta, arrays(other), 1e-6)
    assert assigned


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.5}], ids=["", "decayed"])
def test_update_step_from_outside_is_the_same_step(
    make: Callable, options: dict, float64: None
) -> None:
    """As Lookahead and wrappers for several devices call it, with the count kept by them."""
    one, two, a, b = make(**options), make(**options), variables(), variables()
    two.build(b)
    for k in range(6):
        apply(one, a, gradients(k))
        for gradient, variable in zip(gradients(k), b, strict=True):
            two.update_step(ops.convert_to_tensor(gradient), variable, two.learning_rate)
        two.iterations.assign_add(1)
    assert_close(b, arrays(a), 1e-12)
    # And then by Keras again.
    for optimizer, theta in ((one, a), (two, b)):
        apply(optimizer, theta, gradients(6))
    assert_close(b, arrays(a), 1e-12)


# Signatures.


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(DampedSGD, keras.optimizers.SGD), (DampedAdamW, keras.optimizers.AdamW)],
)
def test_positional_arguments_are_in_keras_s_order(ours: type, theirs: type) -> None:
    def positional(method: type) -> list[str]:
        parameters = inspect.signature(method.__init__).parameters.values()
        return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    assert positional(ours) == positional(theirs)


def test_positional_arguments() -> None:
    assert DampedAdamW(1e-3, 0.05).weight_decay == 0.05
    assert DampedSGD(1e-3, 0.9, False, 0.05).weight_decay == 0.05
    with pytest.raises(ValueError, match="amsgrad"):
        DampedAdamW(amsgrad=True)
    with pytest.raises(TypeError, match="alpha"):
        DampedAdamW(alpha=0.1)


# A run that diverges.


@pytest.mark.parametrize("file", ["run.keras", "run.weights.h5"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_model_saves_and_loads(
    make: Callable, file: str, value: float, tmp_path: Path
) -> None:
    made = model(make())
    fit(made)
    for slot in [*made.trainable_variables, *made.optimizer.momentums]:
        slot.assign(ops.full(slot.shape, value))
    for slot in made.optimizer.velocities or ():
        slot.assign(ops.full(slot.shape, value))
    if file.endswith(".keras"):
        made.save(tmp_path / file)
        loaded = keras.models.load_model(tmp_path / file)
    else:
        made.save_weights(tmp_path / file)
        loaded = model(make())
        loaded.optimizer.build(loaded.trainable_variables)
        loaded.load_weights(tmp_path / file)
    assert_same_bits(loaded.optimizer.variables, arrays(made.optimizer.variables))
    fit(loaded)


@only_on("torch")
def test_a_schedule_does_not_compile_every_step_anew(monkeypatch: Any) -> None:
    import torch

    compiled = []

    def counting(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counting))

    def graphs(optimizer: Any) -> int:
        torch._dynamo.reset()
        compiled.clear()
        made = model(optimizer, jit_compile=True)
        fit(made, epochs=3)
        return len(compiled)

    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.9)
    assert graphs(DampedSGD(schedule, damping=0.3)) <= graphs(keras.optimizers.SGD(schedule, 0.9))
