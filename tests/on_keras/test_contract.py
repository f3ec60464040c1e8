"""The optimizer as Keras's machinery handles it: names, configurations, refusals, precision."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction

import keras
import numpy as np
import pytest

from indian_core import ALPHA, BETA, LR
from indian_keras import INDIAN, INNA, DampedAdamW, DampedSGD, INNAprop, PowerDecay
from tests.on_keras.runs import (
    apply,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    fit,
    gradients,
    model,
    paper,
    starts,
    variables,
)

ARGUMENTS = {
    "learning_rate": 0.25,
    "alpha": 0.75,
    "beta": 0.2,
    "initial_speed": 0.3,
    "weight_decay": 0.01,
    "clipnorm": 1.5,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": True,
    "ema_momentum": 0.9,
    "ema_overwrite_frequency": 3,
    "loss_scale_factor": 2.0,
    "gradient_accumulation_steps": 2,
    "name": "mine",
}


@pytest.mark.parametrize("name", ["indian", "inna", "INDIAN", "INNA"])
def test_the_bare_name_is_enough(name: str) -> None:
    assert type(keras.optimizers.get(name)) is INDIAN is INNA
    losses = fit(model(name), epochs=4)
    assert losses[-1] < losses[0]


def test_the_defaults_are_the_core_s_from_rest() -> None:
    optimizer = INDIAN()
    assert float(array(optimizer.learning_rate)) == pytest.approx(LR)
    assert (optimizer.alpha, optimizer.beta, optimizer.initial_speed) == (ALPHA, BETA, None)
    assert optimizer.name == "indian"


def test_the_configuration_holds_every_argument() -> None:
    assert INDIAN(**ARGUMENTS).get_config() == ARGUMENTS
    assert INDIAN.from_config(ARGUMENTS).get_config() == ARGUMENTS
    assert set(INDIAN().get_config()) == set(ARGUMENTS)


@pytest.mark.parametrize("number", [Fraction, np.float32, np.float64, int])
def test_any_real_number_is_kept_as_a_float(number: type, float64: None) -> None:
    theta = variables()
    optimizer = INDIAN(
        PowerDecay(number(1), power=number(0)),
        alpha=number(1),
        beta=number(2),
        initial_speed=number(3),
        weight_decay=number(0),
    )
    config = optimizer.get_config()
    kept = [config[name] for name in ("alpha", "beta", "initial_speed", "weight_decay")]
    kept += optimizer._learning_rate.get_config().values()
    assert kept == [1.0, 2.0, 3.0, 0.0, 1.0, 0.0]
    assert {type(value) for value in kept} == {float}
    json.dumps(config)
    for k in range(3):
        apply(optimizer, theta, gradients(k))
    assert_close(theta, paper([1.0] * 3, 1.0, 2.0, 3.0)[0], 1e-12)


@pytest.mark.parametrize(
    "learning_rate",
    [0.25, PowerDecay(0.5, 0.25), keras.optimizers.schedules.CosineDecay(0.5, 100)],
    ids=["float", "PowerDecay", "CosineDecay"],
)
def test_it_survives_serialization(learning_rate: object) -> None:
    optimizer = INDIAN(learning_rate, alpha=0.75)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is INDIAN
    assert copy.get_config() == optimizer.get_config()
    theta, other = variables(), variables()
    for k in range(3):
        apply(optimizer, theta, gradients(k))
        apply(copy, other, gradients(k))
    assert_same_bits(other, theta)


def test_a_callable_learning_rate(float64: None) -> None:
    rates = iter([0.5, 0.25, 0.125])
    theta = variables()
    optimizer = INDIAN(lambda: next(rates), initial_speed=1.0)
    for k in range(3):
        apply(optimizer, theta, gradients(k))
    assert_close(theta, paper([0.5, 0.25, 0.125], ALPHA, BETA, 1.0)[0], 1e-12)


def test_the_learning_rate_may_be_set_between_steps(float64: None) -> None:
    theta = variables()
    optimizer = INDIAN(0.5, initial_speed=1.0)
    for k, lr in enumerate([0.5, 0.25, 0.125]):
        optimizer.learning_rate = lr
        apply(optimizer, theta, gradients(k))
    assert_close(theta, paper([0.5, 0.25, 0.125], ALPHA, BETA, 1.0)[0], 1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"alpha": -0.5}, ValueError, "Invalid alpha: -0.5"),
        ({"alpha": float("nan")}, ValueError, "Invalid alpha: nan"),
        ({"beta": 0.0}, ValueError, "Invalid beta: 0.0"),
        ({"beta": "0.1"}, TypeError, "Invalid beta: '0.1'"),
        ({"initial_speed": -1.0}, ValueError, "Invalid initial_speed: -1.0"),
        ({"initial_speed": "1"}, TypeError, "Invalid initial_speed: '1'"),
        ({"weight_decay": -0.1}, ValueError, "Invalid weight_decay value: -0.1"),
        ({"learning_rate": -0.1}, ValueError, "Invalid learning rate: -0.1"),
        ({"learning_rate": float("inf")}, ValueError, "Invalid learning rate: inf"),
        ({"learning_rate": "0.1"}, TypeError, "Invalid learning rate: '0.1'"),
        ({"learning_rate": None}, TypeError, "Invalid learning rate: None"),
        ({"learning_rate": np.array([0.1, 0.2])}, TypeError, "Invalid learning rate: array"),
        ({"learning_rate": 10**400}, ValueError, "Invalid learning rate: 10000"),
        # Keras's own words from here on.
        ({"clipnorm": 1.0, "clipvalue": 1.0}, ValueError, "Only one of `clipnorm`"),
        ({"gradient_accumulation_steps": 1}, ValueError, "must be an integer >= 2"),
        ({"ema_momentum": 2.0, "use_ema": True}, ValueError, "must be in the range"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        INDIAN(**arguments)


WRONG_RATES = [-1, Fraction(-1), np.float32(-1), np.float16("nan"), np.int64(-1), np.array(-1.0)]
KINDS = {"number": float, "tensor": keras.ops.convert_to_tensor, "variable": keras.Variable}


@pytest.mark.parametrize("wrong", WRONG_RATES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_learning_rate_is_refused_at_any_time(wrong: object, kind: str) -> None:
    optimizer = INDIAN(0.25)
    value = wrong if kind == "number" else KINDS[kind](float(wrong))
    with pytest.raises(ValueError, match="Invalid learning rate: "):
        INDIAN(value)
    with pytest.raises(ValueError, match="Invalid learning rate: "):
        optimizer.learning_rate = value
    assert float(array(optimizer.learning_rate)) == 0.25


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [Fraction, np.float32, np.int64, int, np.array])
def test_any_number_can_be_a_learning_rate(number: type, kind: str) -> None:
    value = number(1) if kind == "number" else KINDS[kind](float(number(1)))
    optimizer = INDIAN(value)
    assert optimizer.get_config()["learning_rate"] == 1.0
    optimizer.learning_rate = 0.25
    optimizer.learning_rate = value
    assert float(array(optimizer.learning_rate)) == 1.0


def test_what_is_no_learning_rate_is_refused_later_too() -> None:
    optimizer = INDIAN(0.25)
    for wrong in (True, np.True_, keras.ops.ones(1), "0.1", type):
        with pytest.raises(TypeError, match="Invalid learning rate: "):
            optimizer.learning_rate = wrong
    with pytest.raises(TypeError, match="learning rate is not settable"):
        INDIAN(PowerDecay(0.1)).learning_rate = 0.1


@pytest.mark.parametrize("name", ["alpha", "beta", "initial_speed", "weight_decay"])
def test_a_hyperparameter_that_is_assigned_is_checked_like_an_argument(name: str) -> None:
    optimizer = INDIAN(0.25, weight_decay=0.1)
    before = optimizer.get_config()
    for wrong, error in ((-1.0, ValueError), (10**400, ValueError), ("1", TypeError)):
        with pytest.raises(error, match=f"Invalid {name}( value)?: "):
            setattr(optimizer, name, wrong)
    assert optimizer.get_config() == before
    for right in (np.float16(0.5), np.array(0.5), Fraction(1, 2)):
        setattr(optimizer, name, right)
        assert optimizer.get_config()[name] == 0.5
        assert type(getattr(optimizer, name)) is float


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}], ids=["", "decayed"])
@pytest.mark.parametrize("kind", ["schedule", "callable", "variable"])
def test_a_rate_that_goes_bad_in_mid_run_changes_nothing(kind: str, options: dict) -> None:
    theta = variables()
    rate = [0.1]
    rates = {"schedule": Falling(), "callable": lambda: rate[0], "variable": 0.1}
    optimizer = INDIAN(rates[kind], **options)
    apply(optimizer, theta, gradients(0))
    if kind == "variable":
        optimizer.learning_rate.assign(float("nan"))
    rate[0] = -0.1
    before = arrays([*theta, *optimizer.variables])
    with pytest.raises(ValueError, match=r"Invalid learning rate: (-0.1|nan)"):
        apply(optimizer, theta, gradients(1))
    assert_same_bits([*theta, *optimizer.variables], before)


class Falling(keras.optimizers.schedules.LearningRateSchedule):
    """0.1, −0.1, …"""

    def __call__(self, step: object) -> object:
        return 0.1 - 0.2 * keras.ops.cast(step, "float32")

    def get_config(self) -> dict:
        return {}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1.0, 0.5), "Invalid initial_learning_rate: -1.0"),
        ((0.5, float("inf")), "Invalid power: inf"),
    ],
)
def test_bad_schedules_are_refused(arguments: tuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        PowerDecay(*arguments)


def test_power_decay(float64: None) -> None:
    found = [float(array(PowerDecay(0.5, 0.25)(k))) for k in (0, 15, 80)]
    assert found == pytest.approx([0.5, 0.25, 0.5 / 3], rel=1e-15)


@pytest.mark.parametrize("floatx", ["float16", "bfloat16", "float32", "float64"])
def test_power_decay_holds_any_k(floatx: str, request: pytest.FixtureRequest) -> None:
    if floatx == "float64":
        request.getfixturevalue("float64")
    keras.config.set_floatx(floatx)
    try:
        found = [float(array(PowerDecay(0.5)(k))) for k in (255, 2049, 65535, 10**7)]
    finally:
        keras.config.set_floatx("float64" if floatx == "float64" else "float32")
    expected = [0.5 * (k + 1) ** -0.5 for k in (255, 2049, 65535, 10**7)]
    assert found == pytest.approx(expected, rel=1e-15 if floatx == "float64" else 1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_w_has_at_least_32_bits(dtype: str, request: pytest.FixtureRequest) -> None:
    if dtype == "float64":
        request.getfixturevalue("float64")
    theta = variables(dtype)
    optimizer = INDIAN(0.25, alpha=0.5, beta=0.1, initial_speed=1.0)
    rounded = []
    for k in range(3):
        values = [array(keras.ops.cast(v, dtype)).astype("float64") for v in gradients(k)]
        rounded.append(values)
        apply(optimizer, theta, values)
    kept = "float64" if dtype == "float64" else "float32"
    assert {keras.backend.standardize_dtype(w.dtype) for w in optimizer.momentums} == {kept}
    assert {keras.backend.standardize_dtype(v.dtype) for v in theta} == {dtype}
    # w knows nothing of θ, so it is exact for these gradients whatever θ's precision is.
    w = [0.9 * v for v in rounded[0]]
    for values in rounded:
        w = [0.875 * a + 0.25 * 0.95 * v for a, v in zip(w, values, strict=True)]
    assert_close(optimizer.momentums, w, 1e-12 if kept == "float64" else 1e-6)
    ulp = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-23, "float64": 1e-15}[dtype]
    tolerance = 4 * 3 * ulp
    assert_close(
        [keras.ops.cast(v, kept) for v in theta], paper([0.25] * 3, 0.5, 0.1, 1.0)[0], tolerance
    )


@pytest.mark.parametrize("method", [INDIAN, INNAprop, DampedSGD, DampedAdamW])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float16"])
def test_it_trains_under_every_policy(policy: str, method: Callable) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        made = model(method({INDIAN: 0.25, DampedSGD: 0.1}.get(method, 0.05)))
        losses = fit(made, epochs=6)
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = getattr(made.optimizer, "inner_optimizer", made.optimizer)
    assert isinstance(made.optimizer, keras.optimizers.LossScaleOptimizer) == (
        policy == "mixed_float16"
    )
    slots = [*optimizer.momentums, *(optimizer.velocities or [])]
    assert {keras.backend.standardize_dtype(slot.dtype) for slot in slots} == {"float32"}
    assert losses[-1] < 0.75 * losses[0]


def test_variables_that_are_overwritten_with_their_gradient_have_no_slot() -> None:
    theta = variables()
    theta[1].overwrite_with_gradient = True
    optimizer = INDIAN(0.25, initial_speed=1.0)
    apply(optimizer, theta, gradients(0))
    assert optimizer.momentums[1] is None
    assert_close([theta[1]], [gradients(0)[1]], 1e-6)
    assert_close([theta[0]], [paper([0.25], ALPHA, BETA, 1.0)[0][0]], 1e-6)


def test_variables_changed_from_outside_get_no_kick(float64: None) -> None:
    """Weights loaded, constraints, projections: w does not notice, so θ keeps its velocity."""
    theta = variables()
    optimizer = INDIAN(0.25, initial_speed=1.0)
    for k in range(6):
        if k == 3:
            for v in theta:
                v.assign(v + 1.0)
        apply(optimizer, theta, gradients(k))
    assert_close(theta, [t + 1.0 for t in paper([0.25] * 6, ALPHA, BETA, 1.0)[0]], 1e-12)


def test_gradients_are_left_as_they_are() -> None:
    theta = variables()
    tensors = [keras.ops.convert_to_tensor(v, dtype="float32") for v in gradients(0)]
    before = arrays(tensors)
    optimizer = INDIAN(weight_decay=0.1)
    for _ in range(2):
        optimizer.apply(tensors, theta)
    assert_same_bits(tensors, before)


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


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}], ids=["", "summed"])
@pytest.mark.parametrize(
    ("shape", "wrong"), [((6,), (1,)), ((1,), (3,)), ((2, 3), (3, 2)), ((2, 3), (3,)), ((), (1,))]
)
def test_a_gradient_of_another_shape_is_refused(shape: tuple, wrong: tuple, options: dict) -> None:
    theta = [keras.Variable(np.ones(s), dtype="float32") for s in ((2,), shape)]
    optimizer = INDIAN(weight_decay=0.1, **options)
    optimizer.build(theta)
    before = arrays([*theta, *optimizer.variables])
    named = rf"shape is \(?{re.escape(str(wrong)[1:-1])}\)?.*is {re.escape(str(shape))}"
    with pytest.raises(ValueError, match=named):
        optimizer.apply([keras.ops.ones(2), keras.ops.ones(wrong)], theta)
    assert_same_bits([*theta, *optimizer.variables], before)


def test_a_step_on_unknown_variables_is_refused() -> None:
    optimizer = INDIAN()
    optimizer.build(variables())
    with pytest.raises(ValueError, match="Unknown variable"):
        apply(optimizer, variables(), gradients(0))
