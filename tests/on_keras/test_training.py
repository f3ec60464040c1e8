"""What Keras's users do around an optimizer: callbacks, freezing, several optimizers, own loops."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

from indian_core import ALPHA, BETA
from indian_keras import INDIAN, PowerDecay
from tests.on_keras.runs import (
    BACKEND,
    apply,
    apply_as_a_program,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    fit,
    gradients,
    model,
    only_on,
    paper,
    starts,
    variables,
)


def test_fit_is_the_same_run_as_a_loop_of_steps() -> None:
    """And so is every way of compiling it that the backend has."""
    runs = {}
    for name, options in {
        "eager": {"run_eagerly": True},
        "compiled": {"jit_compile": False},
        "jit": {"jit_compile": BACKEND != "torch"},
    }.items():
        made = model(INDIAN(0.25), **options)
        fit(made, epochs=2)
        runs[name] = arrays(made.trainable_variables)
    assert_close(runs["compiled"], runs["eager"], 1e-5)
    assert_close(runs["jit"], runs["eager"], 1e-5)


def test_learning_rate_scheduler_is_the_schedule() -> None:
    by_callback, by_schedule = model(INDIAN(0.5)), model(INDIAN(PowerDecay(0.5)))
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.5 * (epoch + 1) ** -0.5)
    fit(by_callback, epochs=5, batch_size=64, callbacks=[callback])
    fit(by_schedule, epochs=5, batch_size=64)
    assert_close(by_callback.trainable_variables, arrays(by_schedule.trainable_variables), 1e-6)


def test_reduce_lr_on_plateau() -> None:
    made = model(INDIAN(0.25))
    callback = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    fit(made, epochs=4, callbacks=[callback])
    assert float(array(made.optimizer.learning_rate)) == 0.25 / 8


def test_swap_ema_weights() -> None:
    """Between the epochs the model has the averages; it trains on from its own weights."""
    made, own = (model(INDIAN(0.25, use_ema=True, ema_momentum=0.5)) for _ in range(2))
    at_the_ends = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            at_the_ends.append(arrays(self.model.trainable_variables))

    # Keras puts the averages into the model when a fit is over, so these are those of 1 epoch.
    fit(own)
    fit(made, epochs=3, callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True), Look()])
    assert_close(at_the_ends[0], arrays(own.trainable_variables), 1e-6)
    # And had the callback trained on from an average, the run would be another.
    undisturbed = model(INDIAN(0.25, use_ema=True, ema_momentum=0.5))
    fit(undisturbed, epochs=3)
    assert_close(made.trainable_variables, arrays(undisturbed.trainable_variables), 1e-6)


def test_constraints_give_no_kick(float64: None) -> None:
    """A projection moves θ and leaves w, as it must: w is a velocity."""
    theta = variables()
    for v in theta:
        v.constraint = keras.constraints.NonNeg()
    optimizer = INDIAN(0.25)
    for k in range(4):
        apply(optimizer, theta, gradients(k))
        assert all((array(v) >= 0).all() for v in theta)
    free = INDIAN(0.25)
    others = variables()
    for k in range(4):
        apply(free, others, gradients(k))
    assert_same_bits(optimizer.momentums, free.momentums)


def test_frozen_layers_stay_and_their_w_with_them() -> None:
    """Trained on a part of its variables, the optimizer keeps the others' w as it was."""
    theta = variables()
    optimizer = INDIAN(0.25)
    apply(optimizer, theta, gradients(0))
    frozen, w = array(theta[0]), array(optimizer.momentums[0])
    apply(optimizer, theta[1:], gradients(1)[1:])
    np.testing.assert_array_equal(array(theta[0]), frozen)
    np.testing.assert_array_equal(array(optimizer.momentums[0]), w)
    apply(optimizer, theta, gradients(2))
    expected = frozen - 0.25 * (w + BETA * gradients(2)[0])
    assert_close([theta[0]], [expected], 1e-6)


def test_frozen_and_compiled_anew() -> None:
    made = model(INDIAN(0.25))
    fit(made)
    made.get_layer("hidden").trainable = False
    made.compile(optimizer=INDIAN(0.25), loss=made.loss)
    before = arrays(made.get_layer("hidden").weights)
    losses = fit(made, epochs=3)
    assert_same_bits(made.get_layer("hidden").weights, before)
    assert losses[-1] < losses[0]
    assert len(made.optimizer.momentums) == 2


@only_on("tensorflow", "torch")  # on JAX Keras's fit refuses any optimizer of other variables
def test_frozen_and_thawed_under_the_same_optimizer() -> None:
    made = model(INDIAN(0.25))
    optimizer, hidden = made.optimizer, made.get_layer("hidden")
    fit(made)
    held = arrays([*hidden.weights, *optimizer.momentums[:2]])
    for trainable in (False, True):
        hidden.trainable = trainable
        made.compile(optimizer=optimizer, loss=made.loss)
        assert_same_bits([*hidden.weights, *optimizer.momentums[:2]], held)
        losses = fit(made, epochs=3)
        assert losses[-1] < losses[0]
    assert not np.array_equal(array(hidden.weights[0]), held[0])


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "MultiOptimizer"), reason="this Keras has no MultiOptimizer"
)
def test_one_of_several_optimizers(float64: None) -> None:
    theta = variables()
    ours, theirs = INDIAN(0.25, initial_speed=1.0), keras.optimizers.SGD(0.25)
    optimizer = keras.optimizers.MultiOptimizer(lambda v: theirs if v is theta[1] else ours)
    for k in range(4):
        apply(optimizer, theta, gradients(k))
    expected = paper([0.25] * 4, ALPHA, BETA, 1.0)[0]
    assert_close([theta[0], theta[2]], [expected[0], expected[2]], 1e-12)


@only_on("jax", "torch")
def test_a_stateless_step_leaves_what_it_is_given(float64: None) -> None:
    """(On TensorFlow Keras itself has none: its variables are always assigned to.)"""
    theta = variables()
    optimizer = INDIAN(0.25, weight_decay=0.125)
    optimizer.build(theta)
    values = [ops.convert_to_tensor(start) for start in starts()]
    state = [ops.copy(v.value) for v in optimizer.variables]
    before = arrays([*values, *state, *optimizer.variables, *theta])
    for _ in range(2):
        grads = [ops.convert_to_tensor(v) for v in gradients(0)]
        new_values, new_state = optimizer.stateless_apply(state, grads, values)
        assert_same_bits([*values, *state, *optimizer.variables, *theta], before)
        assert_same_bits(grads, gradients(0))
    other = INDIAN(0.25, weight_decay=0.125)
    apply(other, theta, gradients(0))
    assert_close(new_values, arrays(theta), 1e-15)
    assert_close(new_state, arrays(other.variables), 1e-15)


def tensorflow_loop(jit: bool) -> Callable[[INDIAN, list], None]:
    import tensorflow as tf

    def loop(optimizer: INDIAN, theta: list) -> None:
        optimizer.build(theta)

        @tf.function(jit_compile=jit)
        def step(targets: list) -> None:
            with tf.GradientTape() as tape:
                loss = sum(tf.reduce_sum(v * t) for v, t in zip(theta, targets, strict=True))
            optimizer.apply(tape.gradient(loss, [v.value for v in theta]), theta)

        for k in range(4):
            step([tf.constant(v) for v in gradients(k)])

    return loop


def jax_loop(optimizer: INDIAN, theta: list) -> None:
    for k in range(4):
        apply_as_a_program(optimizer, theta, [ops.convert_to_tensor(v) for v in gradients(k)])


def torch_loop(optimizer: INDIAN, theta: list) -> None:
    for k in range(4):
        loss = sum(
            (v.value * ops.convert_to_tensor(t)).sum()
            for v, t in zip(theta, gradients(k), strict=True)
        )
        for v in theta:
            v.value.grad = None
        loss.backward()
        optimizer.apply([v.value.grad for v in theta], theta)


LOOPS = {
    "tensorflow": lambda: [tensorflow_loop(jit=False), tensorflow_loop(jit=True)],
    "jax": lambda: [jax_loop],
    "torch": lambda: [torch_loop],
}


def test_loops_of_ones_own(float64: None) -> None:
    for loop in LOOPS[BACKEND]():
        theta = variables()
        loop(INDIAN(0.25, initial_speed=1.0), theta)
        assert_close(theta, paper([0.25] * 4, ALPHA, BETA, 1.0)[0], 1e-12)


@only_on("jax")
@pytest.mark.parametrize("alpha", [0.5, 4.0], ids=["", "alpha lr = 1"])
def test_donated_buffers_are_updated_in_place(alpha: float) -> None:
    """θ is written from the old w: unordered, XLA would copy every w. See `on_graph`."""
    import jax

    theta = [keras.Variable(np.ones((64, 64)), dtype="float32") for _ in range(3)]
    optimizer = INDIAN(0.25, alpha=alpha)
    optimizer.build(theta)
    program = jax.jit(
        lambda values, state, grads: optimizer.stateless_apply(state, grads, values),
        donate_argnums=(0, 1),
    )
    values = [v.value for v in theta]
    compiled = program.lower(values, [v.value for v in optimizer.variables], values).compile()
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes < 64 * 64 * 4
    assert memory.alias_size_in_bytes >= 2 * 3 * 64 * 64 * 4


def test_a_compiled_fit_begins_once() -> None:
    def trained(reset: bool) -> list[np.ndarray]:
        made = model(INDIAN(0.25, alpha=0.5, beta=0.1))
        for _ in range(2):
            fit(made)
            if reset:
                made.optimizer.iterations.assign(0)
        return arrays(made.trainable_variables)

    assert_close(trained(reset=True), trained(reset=False), 0)
