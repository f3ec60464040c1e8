"""INNAprop in Keras: Keras's own AdamW where the two are one, and what is particular to V."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import DampedAdamW, INNAprop, _private
from indian_keras.energy import energy
from tests.on_keras.runs import (
    BACKEND,
    apply,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    fit,
    gradients,
    model,
    only_on,
    variables,
)

LR = 2.0**-6


def run(optimizer: keras.optimizers.Optimizer, steps: int = 20) -> list[np.ndarray]:
    theta = variables()
    for k in range(steps):
        apply(optimizer, theta, gradients(k))
    return arrays(theta)


@pytest.mark.parametrize("authors", [False, True], ids=["", "the authors'"])
def test_excluded_variables_do_not_decay(authors: bool, float64: None) -> None:
    optimizers = [
        INNAprop(LR, weight_decay=decay, authors_weight_decay=authors) for decay in (8.0, None)
    ]
    optimizers[0].exclude_from_weight_decay(var_names=["theta_1"])
    decayed, free = map(run, optimizers)
    assert_same_bits([decayed[1]], [free[1]])
    assert abs(decayed[0] - free[0]).max() > 1e-2


@pytest.mark.parametrize("spelling", ["innaprop", "INNAprop"])
def test_the_bare_name_is_enough(spelling: str) -> None:
    assert type(keras.optimizers.get(spelling)) is INNAprop
    assert type(model(spelling).optimizer) is INNAprop


def test_the_configuration_holds_every_argument() -> None:
    optimizer = INNAprop(0.25, 0.5, 0.75, 0.5, 0.125, None, authors_weight_decay=True, clipnorm=1.0)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is INNAprop
    assert copy.get_config() == optimizer.get_config()
    found = {k: optimizer.get_config()[k] for k in ("sigma", "epsilon", "weight_decay", "clipnorm")}
    assert found == {"sigma": 0.5, "epsilon": 0.125, "weight_decay": None, "clipnorm": 1.0}
    assert optimizer.get_config()["authors_weight_decay"] is True


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}], ids=["", "summed"])
def test_the_counter_set_back_does_not_touch_the_count_of_v(options: dict) -> None:
    theta, other = variables(), variables()
    optimizer, unbroken = INNAprop(0.25, **options), INNAprop(0.25, **options)
    times = options.get("gradient_accumulation_steps", 1)
    for k in range(4):
        if k == 2:
            optimizer._iterations.assign(0)
        for _ in range(times):
            apply(optimizer, theta, gradients(k))
            apply(unbroken, other, gradients(k))
    assert_same_bits(theta, other)
    assert int(array(optimizer.count)) == 4


def test_the_first_step_in_float32_has_its_digits() -> None:
    """At t = 1, V/(1 − σ) = v² and u = ±1, although σ = 0.999 is another number in float32."""
    theta, starts = variables(), arrays(variables())
    apply(INNAprop(1.0, beta=0.5, weight_decay=None), theta, gradients(0))
    moved = [2 * (t - array(v)) for t, v in zip(starts, theta, strict=True)]
    assert_close(moved, [np.sign(v) for v in gradients(0)], 2e-6)


def test_complex_variables_keep_the_phase_of_their_gradients() -> None:
    value = np.array([[3j, 4.0], [1 + 1j, -2j]], "complex64")
    theta = keras.Variable(np.zeros((2, 2), "complex64"), dtype="complex64")
    optimizer = INNAprop(0.5, beta=1.0, weight_decay=None)
    optimizer.apply([ops.convert_to_tensor(value, "complex64")], [theta])
    assert_close([theta], [-0.5 * value / abs(value)], 1e-5)
    assert keras.backend.standardize_dtype(optimizer.velocities[0].dtype) == "float32"


def test_before_the_first_step_it_is_at_rest() -> None:
    theta = variables()
    optimizer = INNAprop(alpha=0.5, beta=0.5)
    optimizer.build(theta)
    assert float(energy(optimizer, 3.0)) == pytest.approx(2 * 1.25 * 3.0)
    assert_close([optimizer.psi(v) for v in theta], [0.75 * t for t in arrays(theta)], 1e-6)


def test_an_embedding_with_sparse_gradients_trains() -> None:
    made = keras.Sequential(
        [keras.layers.Embedding(20, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    made.compile(optimizer=DampedAdamW(0.02), loss="mse")
    tokens = np.arange(40).reshape(20, 2) % 20
    targets = (tokens[:, :1] > 9).astype("float32")
    history = made.fit(tokens, targets, epochs=30, batch_size=5, shuffle=False, verbose=0)
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]


def test_every_way_of_compiling_makes_the_same_run() -> None:
    runs = []
    for options in ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}):
        if BACKEND == "torch" and options.get("jit_compile"):
            continue  # Inductor takes a minute
        made = model(INNAprop(0.02), **options)
        fit(made, epochs=2)
        runs.append(arrays(made.trainable_variables))
    for compiled in runs[1:]:
        assert_close(compiled, runs[0], 1e-5)


@only_on("torch")
@pytest.mark.parametrize("absent", ["_fused_adam_", "_fused_sgd_"])
def test_a_torch_without_a_kernel_makes_the_same_steps(
    absent: str, monkeypatch: pytest.MonkeyPatch, float64: None
) -> None:
    import torch

    with_kernels = run(INNAprop(0.05, alpha=1.0, beta=0.3))
    monkeypatch.delattr(torch, absent)
    assert_close(run(INNAprop(0.05, alpha=1.0, beta=0.3)), with_kernels, 1e-13)


@only_on("torch")
def test_large_tensors_in_pieces_make_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from indian_keras.backend import kernels

    whole = run(INNAprop(0.05))
    monkeypatch.setattr(kernels, "_GROUP", 4)
    assert_same_bits(run(INNAprop(0.05)), whole)


@pytest.mark.parametrize("hook", _private.HOOKS)
def test_a_keras_without_a_hook_is_refused(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        """Keras's optimizer, with the hook under another name."""

    for name in _private.HOOKS:
        setattr(Other, name, None)
    delattr(Other, hook)
    monkeypatch.setattr(keras.optimizers, "Optimizer", Other)
    with pytest.raises(ImportError, match=f"its optimizers have no {hook}"):
        _private.check_hooks()


def test_a_keras_without_its_other_private_names() -> None:
    """Slots go where Keras puts them, and every variable decays."""
    assert _private.layout(object()) is None
    assert _private.decays(object(), None) is True
