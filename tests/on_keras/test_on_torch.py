"""The step on Keras's torch backend: which calls it makes, and that the slots always hold w."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from indian_keras import INDIAN, DampedSGD, INNAprop
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
    paper,
    steps,
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
        # αγ = 1, in its neighbourhood, and above it, where CUDA's kernel would refuse a negative
        # momentum; γ too small for float64: θ from the old w.
        (0.25, 4.0, 0.75, [ADDED, ADDED, SCALED, ADDED]),
        (0.25, 3.9, 0.75, [ADDED, ADDED, SCALED, ADDED]),
        (0.25, 6.0, 0.125, [ADDED, ADDED, SCALED, ADDED]),
        (2.0**-10, 0.5, 0.75, [ADDED, ADDED, SCALED, ADDED]),
    ],
)
def test_the_whole_model_takes_one_pass_and_at_most_a_part_of_another(
    lr: float, alpha: float, beta: float, expected: list[str], calls: list, float64: None
) -> None:
    """A tensor of a slot, once taken, is the slot: it always holds w."""
    theta = variables()
    optimizer = INDIAN(lr, alpha, beta, initial_speed=0.5)
    optimizer.build(theta)
    held = [w.value for w in optimizer.momentums]
    apply(optimizer, theta, gradients(0))
    calls.clear()
    apply(optimizer, theta, gradients(1))
    assert [what for what, _ in calls] == expected
    assert {tuple(sizes) for _, sizes in calls} == {(6, 4, 1)}
    assert_close(held, momentum([lr] * 2, alpha, beta, 0.5), 1e-12)
    steps(optimizer, theta, 2, 8)
    assert_close(theta, paper([lr] * 8, alpha, beta, 0.5)[0], 1e-12)
    assert_close(held, momentum([lr] * 8, alpha, beta, 0.5), 1e-12)
    assert_same_bits(optimizer.momentums, held)


def test_lr_at_beta_is_one_call_although_floats_are_rounded(calls: list) -> None:
    """γ = 0.1 in float32 is not β = 0.1 in Python."""
    theta = variables()
    optimizer = INDIAN(0.1, alpha=0.5, beta=0.1, initial_speed=1.0)
    steps(optimizer, theta, 0, 3)
    assert [what for what, _ in calls] == [HEAVY_BALL] * 3
    assert_close(theta, paper([0.1] * 3, 0.5, 0.1, 1.0)[0], 1e-6)


@pytest.mark.parametrize(
    ("method", "lr"), [(INDIAN, 0.125), (INDIAN, 0.5), (INNAprop, 0.125)], ids=str
)
def test_large_tensors_are_grouped_and_make_the_same_step(
    method: Any, lr: float, calls: list
) -> None:
    """The second operation comes right after the kernel, while a group is in the cache."""
    sizes = [3, 2**17, 2**17, 5, 2**19, 1, 2]
    rows = np.random.default_rng(0).standard_normal(2**19).astype("float32")
    theta, alone = ([keras.Variable(rows[:size]) for size in sizes] for _ in range(2))
    optimizer, others = method(lr, 0.5, 0.25), [method(lr, 0.5, 0.25) for _ in sizes]
    for _ in range(3):
        optimizer.apply([t.value.detach().clone() for t in theta], theta)
    assert min(sum(of) for what, of in calls if what in (HEAVY_BALL, NESTEROV)) < sum(sizes) / 2
    for other, variable in zip(others, alone, strict=True):
        for _ in range(3):
            other.apply([variable.value.detach().clone()], [variable])
    assert_same_bits(theta, alone)


def test_a_small_rate_keeps_its_digits_in_float64(float64: None) -> None:
    """The kernel would be told 1 − D, which has five digits of D less than D."""
    lr = 1e-5
    optimizer = INDIAN(lr, alpha=0.5, beta=0.1, initial_speed=0.1)
    steps(optimizer, variables(), 0, 3)
    for found, w in zip(optimizer.momentums, momentum([lr] * 3, 0.5, 0.1, 0.1), strict=True):
        np.testing.assert_allclose(array(found), w, rtol=2e-14)


def test_a_compiled_fit_on_a_schedule_is_the_same_and_compiled_once(monkeypatch: Any) -> None:
    """torch.compile knows no fused kernel: the step is left out of its graphs."""
    compiled = []
    compile_ = torch.compile

    def counting(graph: Any, _: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    # All of torch.compile but the C++ compiler behind it, which takes a minute.
    monkeypatch.setattr(torch, "compile", lambda f, **kw: compile_(f, **kw | {"backend": counting}))

    def trained(optimizer: Any, jit: bool) -> tuple[list[np.ndarray], int]:
        torch._dynamo.reset()
        compiled.clear()
        made = model(optimizer, jit_compile=jit)
        fit(made, epochs=3)
        return arrays(made.trainable_variables), len(compiled)

    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.9)
    try:
        ends, graphs = trained(DampedSGD(schedule, damping=0.3), True)
    except torch._dynamo.exc.InternalTorchDynamoError as error:
        version = tuple(map(int, keras.__version__.split(".")[:2]))
        if version >= (3, 15) or "indian_keras" in str(error):
            raise
        pytest.skip("Dynamo does not get through the layers of this Keras")
    assert 0 < graphs <= trained(keras.optimizers.SGD(schedule, 0.9), True)[1]
    assert_close(ends, trained(DampedSGD(schedule, damping=0.3), False)[0], 1e-5)


@pytest.mark.parametrize("beta", [0.1, 4.0], ids=["heavy ball", "beta > lr"])
def test_where_nothing_decays_rounding_does_not_move_w(beta: float) -> None:
    """α = 0 and a slowly falling rate, without gradients."""
    theta = [keras.Variable(np.ones(8, "float32"))]
    optimizer = INDIAN(lambda: next(rates), alpha=0.0, beta=beta)
    rates = iter((k + 1) ** -0.5 for k in range(200_000, 201_000))
    optimizer.build(theta)
    w = np.random.default_rng(0).standard_normal(8).astype("float32")
    optimizer.momentums[0].assign(w)
    for _ in range(1000):
        optimizer.apply([torch.zeros(8)], theta)
    assert_same_bits(optimizer.momentums, [w])


@pytest.mark.parametrize("absent", ["_fused_adam_", "_fused_sgd_"])
@pytest.mark.parametrize("beta", [0.125, 0.25, 0.75])
@pytest.mark.parametrize("method", [INDIAN, INNAprop])
def test_a_torch_without_a_kernel_makes_the_same_steps(
    method: Any, beta: float, absent: str, monkeypatch: pytest.MonkeyPatch, float64: None
) -> None:
    def run() -> list[np.ndarray]:
        theta = variables()
        steps(method(0.25, alpha=0.5, beta=beta), theta, 0, 4)
        return arrays(theta)

    with_kernels = run()
    monkeypatch.delattr(torch, absent)
    assert_close(run(), with_kernels, 1e-12)


def test_a_keras_without_its_private_names_has_the_same_tensors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theta = variables()
    monkeypatch.setattr(_private, "in_stateless_scope", None)
    assert_same_bits(_private.values(theta), theta)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor:UserWarning")
@pytest.mark.parametrize("kind", ["fused", "no kernel"])
@pytest.mark.parametrize("scaled", [False, True], ids=["", "scaled"])
def test_the_steps_on_cuda_are_traced(kind: str, scaled: bool, monkeypatch: Any) -> None:
    """Without a GPU: on fake tensors, every operation is asked what it would return."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    made: list[str] = []

    def kernel(name: str) -> Any:  # The kernels know no fake tensors.
        def spy(theta: list, *_: Any, **options: Any) -> None:
            made.append(name)
            assert {t.device.type for t in theta} == {"cuda"}
            assert options.get("momentum", 0) >= 0

        return spy if kind == "fused" else None

    monkeypatch.setattr(kernels, "fused_kernel", kernel)
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
    kernels_of_a_step = ["_fused_adam_"] * scaled + ["_fused_sgd_"]
    assert made == ([] if kind == "no kernel" else 3 * kernels_of_a_step)


def test_numbers_beyond_float32_are_refused_before_anything_changes() -> None:
    theta = variables()
    optimizer = INDIAN(0.25, weight_decay=0.1)
    apply(optimizer, theta, gradients(0))
    optimizer.alpha = 1e300
    before = arrays([*theta, *optimizer.variables])
    with pytest.raises(ValueError, match="number"):
        apply(optimizer, theta, gradients(1))
    assert_same_bits([*theta, *optimizer.variables], before)
