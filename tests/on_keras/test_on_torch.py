"""The step on Keras's torch backend: which calls it makes, and that the slots always hold w."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import INDIAN
from tests.on_keras.runs import (
    BACKEND,
    apply,
    array,
    arrays,
    assert_close,
    assert_same_bits,
    gradients,
    only_on,
    paper,
    variables,
)

if BACKEND == "torch":
    import torch

    from indian_keras import _private
    from indian_keras.backend import Scaling, Step, kernels, on_torch

pytestmark = only_on("torch")

OPERATIONS = ("_fused_sgd_", "_foreach_mul_", "_foreach_add_")
HEAVY_BALL, NESTEROV, SCALED, ADDED = "heavy ball", "nesterov", "_foreach_mul_", "_foreach_add_"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int]]]:
    """The multi-tensor calls that are made, and the sizes of their first list's tensors."""
    made: list[tuple[str, list[int]]] = []

    def spied(name: str) -> Any:
        operation = getattr(torch, name)

        def spy(tensors: list, *others: Any, **options: Any) -> None:
            what = name
            if name == "_fused_sgd_":
                what = NESTEROV if options["nesterov"] else HEAVY_BALL
            made.append((what, [t.numel() for t in tensors]))
            operation(tensors, *others, **options)

        return spy

    for name in OPERATIONS:
        monkeypatch.setattr(torch, name, spied(name))
    return made


def momentum(lrs: list[float], alpha: float, beta: float, initial_speed: float) -> list[np.ndarray]:
    """w after steps on the gradients from number 0: the two lines of the recursion."""
    w = [(initial_speed - beta) * v for v in gradients(0)]
    for k, lr in enumerate(lrs):
        w = [
            (1 - alpha * lr) * a + lr * (1 - alpha * beta) * v
            for a, v in zip(w, gradients(k), strict=True)
        ]
    return w


@pytest.mark.parametrize(
    ("lr", "alpha", "beta", "expected"),
    [
        (0.25, 0.5, 0.25, [HEAVY_BALL]),
        (0.25, 0.5, 0.75, [NESTEROV, SCALED]),
        (0.25, 0.5, 0.125, [HEAVY_BALL, ADDED]),
        # Nothing decays, so w is not scaled either.
        (0.25, 0.0, 4.0, [HEAVY_BALL, ADDED]),
        # αγ = 1, in its neighbourhood, and above it; γ too small for float64: θ from the old w.
        (0.25, 4.0, 0.75, [ADDED, ADDED, SCALED, ADDED]),
        (0.25, 3.9, 0.75, [ADDED, ADDED, SCALED, ADDED]),
        (0.25, 6.0, 0.125, [ADDED, ADDED, SCALED, ADDED]),
        (2.0**-10, 0.5, 0.75, [ADDED, ADDED, SCALED, ADDED]),
    ],
)
def test_the_whole_model_takes_one_pass_and_at_most_a_part_of_another(
    lr: float, alpha: float, beta: float, expected: list[str], calls: list, float64: None
) -> None:
    theta = variables()
    optimizer = INDIAN(lr, alpha, beta, initial_speed=0.5)
    apply(optimizer, theta, gradients(0))
    calls.clear()
    apply(optimizer, theta, gradients(1))
    assert [what for what, _ in calls] == expected
    assert {tuple(sizes) for _, sizes in calls} == {(6, 4, 1)}
    for k in range(2, 8):
        apply(optimizer, theta, gradients(k))
    assert_close(theta, paper([lr] * 8, alpha, beta, 0.5)[0], 1e-12)
    assert_close(optimizer.momentums, momentum([lr] * 8, alpha, beta, 0.5), 1e-12)


def test_lr_at_beta_is_one_call_although_floats_are_rounded(calls: list) -> None:
    """γ = 0.1 in float32 is not β = 0.1 in Python."""
    theta = variables()
    optimizer = INDIAN(0.1, alpha=0.5, beta=0.1, initial_speed=1.0)
    for k in range(3):
        apply(optimizer, theta, gradients(k))
    assert [what for what, _ in calls] == [HEAVY_BALL] * 3
    assert_close(theta, paper([0.1] * 3, 0.5, 0.1, 1.0)[0], 1e-6)


def test_a_rate_that_passes_beta_leaves_no_trace(calls: list, float64: None) -> None:
    lrs = [0.75, 0.5, 0.25, 0.125, 0.25, 0.5, 0.0, 0.125]
    theta = variables()
    optimizer = INDIAN(lrs[0], alpha=0.5, beta=0.25, initial_speed=1.0)
    for k, lr in enumerate(lrs):
        optimizer.learning_rate = lr
        apply(optimizer, theta, gradients(k))
    assert {what for what, _ in calls} == {HEAVY_BALL, NESTEROV, SCALED, ADDED}
    assert_close(theta, paper(lrs, 0.5, 0.25, 1.0)[0], 1e-12)
    assert_close(optimizer.momentums, momentum(lrs, 0.5, 0.25, 1.0), 1e-12)


@pytest.mark.parametrize("lr", [0.125, 0.5], ids=["lr < beta", "lr > beta"])
def test_groups_of_tensors_make_the_same_step(
    lr: float, calls: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    sizes = [3, 40, 5, 6, 7, 100, 1, 2]
    values = [random.standard_normal(size).astype("float32") for size in sizes]
    runs = []
    for group in (10**6, 16):
        monkeypatch.setattr(kernels, "_GROUP", group)
        theta = [keras.Variable(value, dtype="float32") for value in values]
        optimizer = INDIAN(lr, alpha=0.5, beta=0.25)
        calls.clear()
        for _ in range(3):
            apply(optimizer, theta, values)
        runs.append(arrays([*theta, *optimizer.momentums]))
    assert_same_bits(runs[1], runs[0])
    # A group ends where it is full, and the second operation comes right after the kernel.
    kernel, second = (NESTEROV, SCALED) if lr < 0.25 else (HEAVY_BALL, ADDED)
    groups = [[3, 40], [5, 6, 7], [100], [1, 2]]
    assert calls == 3 * [(what, group) for group in groups for what in (kernel, second)]


def test_a_small_rate_keeps_its_digits_in_float64(float64: None) -> None:
    """The kernel would be told 1 − D, which has five digits of D less than D."""
    lr = 1e-5
    theta = variables()
    optimizer = INDIAN(lr, alpha=0.5, beta=0.1, initial_speed=0.1)
    for k in range(3):
        apply(optimizer, theta, gradients(k))
    for found, w in zip(optimizer.momentums, momentum([lr] * 3, 0.5, 0.1, 0.1), strict=True):
        np.testing.assert_allclose(array(found), w, rtol=2e-14)


@pytest.mark.parametrize("lr", [0.0625, 0.25, 0.5], ids=["<", "=", ">"])
def test_what_is_read_and_held_is_w(lr: float) -> None:
    """A tensor of a slot, once taken, is the slot; reading it has no part in the run."""
    theta, other = variables(), variables()
    optimizer, unread = (
        INDIAN(lr, alpha=0.5, beta=0.25, initial_speed=1.0),
        INDIAN(lr, alpha=0.5, beta=0.25, initial_speed=1.0),
    )
    optimizer.build(theta)
    held = [w.value for w in optimizer.momentums]
    for k in range(6):
        apply(optimizer, theta, gradients(k))
        apply(unread, other, gradients(k))
        expected = momentum([lr] * (k + 1), 0.5, 0.25, 1.0)
        assert_close(held, expected, 1e-5)
        assert_same_bits(optimizer.momentums, held)
        store: dict[str, np.ndarray] = {}
        optimizer.save_own_variables(store)
        assert_same_bits([store[str(i)] for i in (2, 3, 4)], held)
    assert_same_bits([*theta, *optimizer.variables], [*other, *unread.variables])


def test_what_is_written_to_a_slot_is_w(float64: None) -> None:
    """By `assign`, by `set_psi`, and into the tensor itself."""
    _, psi = paper([0.125] * 3, 0.5, 0.25, 1.0)
    w = momentum([0.125] * 3, 0.5, 0.25, 1.0)

    def assign(optimizer: INDIAN, _: Any, i: int) -> None:
        optimizer.momentums[i].assign(w[i])

    def set_psi(optimizer: INDIAN, variable: Any, i: int) -> None:
        optimizer.set_psi(variable, psi[i])

    def write(optimizer: INDIAN, _: Any, i: int) -> None:
        optimizer.momentums[i].value.copy_(torch.as_tensor(w[i]))

    for change in (assign, set_psi, write):
        theta = variables()
        optimizer = INDIAN(0.125, alpha=0.5, beta=0.25, initial_speed=1.0)
        for k in range(3):
            apply(optimizer, theta, gradients(k))
        for i, (variable, momentums) in enumerate(zip(theta, optimizer.momentums, strict=True)):
            momentums.assign(ops.zeros_like(momentums))
            change(optimizer, variable, i)
        for k in range(3, 6):
            apply(optimizer, theta, gradients(k))
        assert_close(theta, paper([0.125] * 6, 0.5, 0.25, 1.0)[0], 1e-12)


@pytest.mark.parametrize("lr", [0.125, 0.25, 0.5], ids=["<", "=", ">"])
def test_frozen_variables_keep_their_w(lr: float, float64: None) -> None:
    """Those that miss a step of the others go on from where they were."""
    theta = variables()
    optimizer = INDIAN(lr, alpha=0.5, beta=0.25, initial_speed=0.25)
    steps = [[0, 1, 2], [1, 2], [0], [2], [0, 1, 2], [0, 1]]
    expected = arrays(theta)
    w = [np.zeros_like(t) for t in expected]
    optimizer.build(theta)
    for k, moving in enumerate(steps):
        apply(optimizer, [theta[i] for i in moving], [gradients(k)[i] for i in moving])
        for i in moving:
            expected[i] = expected[i] - lr * (w[i] + 0.25 * gradients(k)[i])
            w[i] = (1 - 0.5 * lr) * w[i] + lr * (1 - 0.5 * 0.25) * gradients(k)[i]
    assert_close(theta, expected, 1e-12)
    assert_close(optimizer.momentums, w, 1e-12)


def test_any_strides_make_the_same_step(float64: None) -> None:
    """The kernel reads memory in θ's order, so a gradient in another order is copied first."""
    start, value = np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(4, 3)
    theta = keras.Variable(start, dtype="float64")
    optimizer = INDIAN(0.25, alpha=0.5, beta=0.75, initial_speed=0.75)
    for _ in range(2):
        optimizer.apply([torch.tensor(value).T], [theta])
    w = 0.25 * (1 - 0.5 * 0.75) * value.T
    assert_close([theta], [start - 0.25 * (w + 2 * 0.75 * value.T)], 1e-12)


def test_a_compiled_fit_makes_the_same_steps_on_a_schedule(monkeypatch: Any) -> None:
    """torch.compile knows no fused kernel: the step is left out of its graphs."""
    # All of torch.compile but the C++ compiler behind it, which takes a minute.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))

    def trained(jit_compile: bool) -> list[Any]:
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.7)
        model.compile(INDIAN(schedule), loss="mse", jit_compile=jit_compile)
        random = np.random.default_rng(3)
        x, y = random.normal(size=(24, 4)), random.normal(size=(24, 3))
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        return [ops.convert_to_numpy(variable) for variable in model.variables]

    try:
        compiled_run = trained(True)
    except torch._dynamo.exc.InternalTorchDynamoError as error:
        version = tuple(map(int, keras.__version__.split(".")[:2]))
        if version >= (3, 15) or "indian_keras" in str(error):
            raise
        pytest.skip("Dynamo does not get through the layers of this Keras")
    for compiled, eager in zip(compiled_run, trained(False), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beta", [0.1, 4.0], ids=["heavy ball", "beta > lr"])
def test_where_nothing_decays_rounding_does_not_move_w(beta: float) -> None:
    """α = 0 and a slowly falling rate, without gradients."""
    theta = [keras.Variable(np.ones(8, "float32"))]
    optimizer = INDIAN(0.1, alpha=0.0, beta=beta)
    optimizer.build(theta)
    w = np.random.default_rng(0).standard_normal(8).astype("float32")
    optimizer.momentums[0].assign(w)
    slots, values = optimizer.momentums, [torch.zeros(8)]
    for k in range(200_000, 201_000):
        step = Step(optimizer.scalars((k + 1) ** -0.5))
        on_torch.make(step, [t.value.detach() for t in theta], values, [w.value for w in slots])
    assert_same_bits(slots, [w])


@pytest.mark.parametrize("beta", [0.125, 0.25, 0.75])
def test_a_torch_without_the_kernel_makes_the_same_steps(
    beta: float, calls: list, monkeypatch: pytest.MonkeyPatch, float64: None
) -> None:
    monkeypatch.delattr(torch, "_fused_sgd_")
    theta = variables()
    optimizer = INDIAN(0.25, alpha=0.5, beta=beta)
    for k in range(4):
        apply(optimizer, theta, gradients(k))
    assert [what for what, _ in calls] == 4 * [ADDED, ADDED, SCALED, ADDED]
    assert_close(theta, paper([0.25] * 4, 0.5, beta, beta)[0], 1e-12)


@pytest.mark.parametrize("absent", ["in_stateless_scope", "_value"])
def test_a_keras_without_its_private_names_makes_the_same_steps(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Renamed:
        """A variable that has its public names alone."""

        def __init__(self, variable: Any) -> None:
            self.value = variable.value

    theta, wanted = variables(), arrays(variables())
    if absent == "in_stateless_scope":
        monkeypatch.setattr(_private, absent, None)
    else:
        theta = [Renamed(variable) for variable in theta]
    assert_same_bits([t.numpy(force=True) for t in _private.values(theta)], wanted)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor:UserWarning")
@pytest.mark.parametrize("kind", ["fused", "no kernel"])
@pytest.mark.parametrize("scaled", [False, True], ids=["", "scaled"])
def test_the_steps_on_cuda_are_traced(kind: str, scaled: bool, monkeypatch: Any) -> None:
    """Without a GPU: on fake tensors, every operation is asked what it would return."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    made: list[str] = []
    for name in ("fused_sgd", "fused_adam"):  # which know no fake tensors

        def kernel(theta: list, *_: Any, name: str = name, **options: Any) -> None:
            made.append(name)
            assert {t.device.type for t in theta} == {"cuda"}
            assert options.get("momentum", 0) >= 0

        absent = kind == "no kernel"
        monkeypatch.setattr(kernels, name, lambda k=kernel, absent=absent: None if absent else k)
    scaling = Scaling(0.9, 1e-8, 1, 0.1) if scaled else None
    with FakeTensorMode():
        theta, w, v, squares = (
            [torch.zeros(shape, device="cuda") for shape in ((3, 2), (4,), ())] for _ in range(4)
        )
        slots = [w, squares if scaled else None]
        for beta in (0.125, 0.25, 0.75):
            linear = INDIAN(0.25, alpha=0.5, beta=beta).scalars(0.25)
            step = Step(linear, decay=0.1, pull=1.0, scaling=scaling)
            on_torch.make(step, theta, v, *slots, decays=[True, False, True])
        assert {t.device.type for t in (*theta, *w)} == {"cuda"}
    kernels_of_a_step = ["fused_adam"] * scaled + ["fused_sgd"]
    assert made == ([] if kind == "no kernel" else 3 * kernels_of_a_step)


@pytest.mark.parametrize("name", ["learning_rate", "alpha", "beta"])
def test_numbers_beyond_float32_are_refused_before_anything_changes(name: str) -> None:
    theta = variables()
    optimizer = INDIAN(0.25, weight_decay=0.1)
    apply(optimizer, theta, gradients(0))
    if name == "learning_rate":
        optimizer.learning_rate = lambda: 1e300
    else:
        setattr(optimizer, name, 1e300)
    before = arrays([*theta, *optimizer.variables])
    with pytest.raises(ValueError, match="learning rate"):
        apply(optimizer, theta, gradients(1))
    assert_same_bits([*theta, *optimizer.variables], before)
