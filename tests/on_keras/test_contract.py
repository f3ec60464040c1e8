"""The optimizer as Keras's machinery handles it: names, arguments, learning rates, precision."""

from __future__ import annotations

import inspect
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_core import ALPHA, BETA
from indian_keras import INDIAN, INNA, DampedAdamW, DampedSGD, PowerDecay, _private
from indian_keras.energy import energy
from tests.on_keras.runs import (
    METHODS,
    NUMBERS,
    apply,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    each_method,
    fit,
    gradients,
    model,
    paper,
    slots,
    starts,
    variables,
)

NAMES = {"inna": INDIAN, "indian": INDIAN, "innaprop": METHODS["INNAprop"]}
NAMES |= {"damped_sgd": DampedSGD, "damped_adamw": DampedAdamW, "INNA": INNA} | METHODS


@pytest.mark.parametrize("name", NAMES)
def test_the_bare_name_is_enough(name: str) -> None:
    assert type(keras.optimizers.get(name)) is NAMES[name]
    assert type(model(name).optimizer) is NAMES[name]


@each_method
def test_the_configuration_is_the_arguments(method: Any) -> None:
    signature = inspect.signature(method.__init__).parameters.values()
    arguments = {p.name: p.default for p in signature if p.name not in ("self", "amsgrad")}
    arguments |= NUMBERS[method] | {"learning_rate": 0.25, "clipnorm": 1.5, "name": "mine"}
    arguments |= {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3}
    arguments |= {"loss_scale_factor": 2.0, "gradient_accumulation_steps": 2}
    optimizer = method(**arguments)
    assert optimizer.get_config() == arguments
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is method
    assert copy.get_config() == arguments


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(DampedSGD, keras.optimizers.SGD), (DampedAdamW, keras.optimizers.AdamW)],
)
def test_positional_arguments_are_in_keras_s_order(ours: type, theirs: type) -> None:
    def positional(method: type) -> list[str]:
        parameters = inspect.signature(method.__init__).parameters.values()
        return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    assert positional(ours) == positional(theirs)
    with pytest.raises(ValueError, match="amsgrad"):
        DampedAdamW(amsgrad=True)
    with pytest.raises(TypeError, match="damping"):
        DampedAdamW(damping=None)


# Learning rates.


@pytest.mark.parametrize("kind", [Fraction, np.float32, ops.convert_to_tensor, keras.Variable])
def test_a_learning_rate_is_a_number_of_any_kind(kind: Any) -> None:
    optimizer = INDIAN(kind(1.0))
    assert optimizer.get_config()["learning_rate"] == 1.0
    optimizer.learning_rate = kind(0.25)
    with pytest.raises(ValueError, match="learning rate"):
        INDIAN(kind(-1.0))
    with pytest.raises(ValueError, match="learning rate"):
        optimizer.learning_rate = kind(-1.0)
    assert float(array(optimizer.learning_rate)) == 0.25


@pytest.mark.parametrize("wrong", [None, np.True_, ops.ones(1), "0.1", type], ids=repr)
def test_what_is_no_learning_rate_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="learning rate"):
        INDIAN(wrong)
    with pytest.raises(TypeError, match="learning rate"):
        INDIAN().learning_rate = wrong


class Falling(keras.optimizers.schedules.LearningRateSchedule):
    """0.1, −3e-18, which is a rate of 0 (schedules of Keras end so), −0.1, …"""

    def __call__(self, step: Any) -> Any:
        return ops.take(ops.convert_to_tensor([0.1, -3e-18, -0.1]), step)


@pytest.mark.parametrize("kind", ["schedule", "callable", "variable"])
def test_rounding_dust_is_a_rate_of_zero_and_a_bad_rate_changes_nothing(kind: str) -> None:
    theta, rate = variables(), [0.1]
    rates = {"schedule": Falling(), "callable": lambda: rate[0], "variable": 0.1}
    optimizer = INDIAN(rates[kind], weight_decay=0.1)

    def give(value: float) -> None:
        rate[0] = value
        if kind == "variable":
            optimizer.variables[1].assign(value)

    apply(optimizer, theta, gradients(0))
    before = arrays([*theta, *optimizer.momentums])
    give(-3e-18)
    apply(optimizer, theta, gradients(1))
    assert_same_bits([*theta, *optimizer.momentums], before)
    give(-0.1)
    with pytest.raises(ValueError, match="learning rate"):
        apply(optimizer, theta, gradients(2))
    assert_same_bits([*theta, *optimizer.momentums], before)


@pytest.mark.parametrize("floatx", ["float16", "bfloat16", "float32"])
def test_power_decay_holds_any_k(floatx: str) -> None:
    keras.config.set_floatx(floatx)
    try:
        found = [float(array(PowerDecay(0.5, 0.25)(k))) for k in (0, 255, 65535, 10**7)]
    finally:
        keras.config.set_floatx("float32")
    assert found == pytest.approx([0.5 * (k + 1) ** -0.25 for k in (0, 255, 65535, 10**7)])


def test_bad_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match="initial_learning_rate"):
        PowerDecay(-1.0)
    with pytest.raises(ValueError, match="power"):
        PowerDecay(0.5, np.inf)


# Precision.


@each_method
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_slots_of_16_bit_variables_are_float32_s(dtype: str, method: Any) -> None:
    """They know nothing of θ, so they are those of a float32 θ; and θ is rounded once a step."""
    optimizers, thetas = [method(0.25), method(0.25)], [variables(dtype), variables("float32")]
    for k in range(3):
        # These have few digits.
        values = [np.round(4 * v) / 4 for v in gradients(k)]
        for optimizer, theta in zip(optimizers, thetas, strict=True):
            apply(optimizer, theta, values)
    narrow, wide = map(slots, optimizers)
    assert {keras.backend.standardize_dtype(slot.dtype) for slot in narrow} == {"float32"}
    assert {keras.backend.standardize_dtype(v.dtype) for v in thetas[0]} == {dtype}
    assert_close(narrow, arrays(wide), 1e-6)
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    assert_close(thetas[0], arrays(thetas[1]), 4 * 3 * unit)


@each_method
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_it_trains_under_a_policy(policy: str, method: Any) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        made = model(method({INDIAN: 0.25, DampedSGD: 0.1}.get(method, 0.05)))
        losses = fit(made, epochs=6)
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = getattr(made.optimizer, "inner_optimizer", made.optimizer)
    assert (optimizer is made.optimizer) == (policy == "bfloat16")
    assert {keras.backend.standardize_dtype(s.dtype) for s in slots(optimizer)} == {"float32"}
    assert losses[-1] < 0.75 * losses[0]


def test_variables_of_no_size_and_of_mixed_precision(float64: None) -> None:
    theta = [
        keras.Variable(np.zeros((0, 3)), dtype="float64"),
        keras.Variable(starts()[0], dtype="float64"),
        keras.Variable(starts()[1], dtype="float32"),
    ]
    optimizer = INDIAN(0.25, initial_speed=1.0)
    for k in range(3):
        apply(optimizer, theta, [np.zeros((0, 3)), *gradients(k)[:2]])
    expected = paper([0.25] * 3, ALPHA, BETA, 1.0)[0]
    assert_close([theta[1]], [expected[0]], 1e-12)
    assert_close([theta[2]], [expected[1]], 1e-6)


# ψ and the energy.


def test_a_subclass_may_add_a_variable_of_any_name() -> None:
    optimizer = INDIAN()
    assert optimizer.add_variable(shape=(), name="my_momentum").dtype == "float32"


def test_a_variable_that_is_overwritten_with_its_gradient_has_no_slot() -> None:
    theta = variables()
    theta[1].overwrite_with_gradient = True
    optimizer = INDIAN(0.25, initial_speed=1.0)
    apply(optimizer, theta, gradients(0))
    assert optimizer.momentums[1] is None
    assert_close([theta[1]], [gradients(0)[1]], 1e-6)
    assert_close([theta[0]], [paper([0.25], ALPHA, BETA, 1.0)[0][0]], 1e-6)
    kinetic = sum(float(np.sum(array(optimizer.momentums[i]) ** 2)) for i in (0, 2))
    assert float(energy(optimizer, 0.0)) == pytest.approx(kinetic)
    for call in (optimizer.psi, lambda v: optimizer.set_psi(v, gradients(0)[1])):
        with pytest.raises(ValueError, match="ψ"):
            call(theta[1])


def test_what_has_no_psi_is_refused() -> None:
    theta = variables()
    optimizer = INDIAN()
    with pytest.raises(ValueError, match="build"):
        optimizer.psi(theta[0])
    optimizer.build(theta)
    for call in (optimizer.psi, lambda v: apply(optimizer, [v], [np.ones(1)])):
        with pytest.raises(ValueError, match="Unknown variable"):
            call(keras.Variable([1.0]))


def test_energy_sees_through_loss_scaling_and_refuses_what_has_none() -> None:
    scaled = keras.optimizers.LossScaleOptimizer(INDIAN(0.1))
    with pytest.raises(ValueError, match="build"):
        energy(scaled, 1.0)
    scaled.build([keras.Variable([1.0] * 3)])
    assert float(energy(scaled, 3.0)) == pytest.approx(2 * (1 + ALPHA * BETA) * 3)
    with pytest.raises(ValueError, match="loss"):
        energy(scaled, np.ones(2))
    with pytest.raises(TypeError, match="optimizer"):
        energy(DampedSGD(), 1.0)


# Releases of Keras that lack a name.


@pytest.mark.parametrize("hook", _private.HOOKS)
def test_a_keras_without_a_hook_is_refused(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = type("Optimizer", (), dict.fromkeys(set(_private.HOOKS) - {hook}))
    monkeypatch.setattr(keras.optimizers, "Optimizer", other)
    with pytest.raises(ImportError, match=hook):
        _private.check_hooks()


def test_a_keras_without_exclusions_lets_every_variable_decay() -> None:
    assert _private.decays(object(), None) is True
