"""What `suggest_lr` leaves untouched, and what it takes and refuses in PyTorch.

The curvatures of the test problems are in tests/conformance, the algebra is in tests/core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from indian_torch.curvature import suggest_lr


def theta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype, requires_grad=True)


def network() -> tuple[nn.Sequential, Callable[[], Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, y = torch.randn(40, 6).double(), torch.randint(0, 3, (40,))
    return model, lambda: nn.functional.cross_entropy(model(x), y)


def test_nothing_of_the_users_is_touched() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 40), nn.Dropout(0.5), nn.ReLU(), nn.Linear(40, 3))
    x, y = torch.randn(20, 6), torch.randint(0, 3, (20,))
    gradients = [torch.full_like(p, i) for i, p in enumerate(model.parameters())]
    for p, g in zip(model.parameters(), gradients, strict=True):
        p.grad = g
    before = {name: value.clone() for name, value in model.state_dict().items()}
    memory = [(p.data_ptr(), p._version) for p in model.parameters()]
    random = torch.get_rng_state()
    masks = []

    def loss_fn() -> Tensor:
        masks.append(torch.rand(3))
        assert model.training
        return nn.functional.cross_entropy(model(x), y)

    suggest_lr(loss_fn, model.parameters())
    assert model.training
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert memory == [(p.data_ptr(), p._version) for p in model.parameters()]
    for i, (p, g) in enumerate(zip(model.parameters(), gradients, strict=True)):
        assert p.grad is g
        assert torch.equal(g, torch.full_like(p, i))
    assert torch.equal(torch.get_rng_state(), random)
    # Dropout was the same at all points.
    assert len(masks) > 2
    assert all(torch.equal(mask, masks[0]) for mask in masks)


def test_an_error_in_the_loss_leaves_everything_where_it_was() -> None:
    param = theta(3)
    param.grad = gradient = torch.zeros(3)
    pointer = param.data_ptr()
    calls = []

    def loss_fn() -> Tensor:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("the second time")
        return (param**2).sum()

    with pytest.raises(KeyError, match="the second time"):
        suggest_lr(loss_fn, [param])
    assert param.data_ptr() == pointer
    assert torch.equal(param, torch.ones(3))
    assert param.grad is gradient


def test_frozen_and_unused_parameters_do_not_count() -> None:
    used, unused, frozen = theta(2), theta(30), torch.full((2,), 100.0)
    found = suggest_lr(lambda: torch.sum(3 * used**2 + frozen**2), [unused, frozen, used])
    assert found.curvature == pytest.approx(6, rel=1e-3)


def test_parameters_of_several_dtypes_and_complex_ones() -> None:
    single, wave = theta(20), theta(20, dtype=torch.complex128)

    def loss_fn() -> Tensor:
        # 7 (Re z)² + (Im z)² has curvatures 14 and 2.
        return (single**2).sum() + (7 * wave.real**2 + wave.imag**2).sum()

    def quartic() -> Tensor:
        return (wave.abs() ** 4).sum()

    assert suggest_lr(loss_fn, [single, wave]).curvature == pytest.approx(14, rel=1e-3)
    # |z|⁴ couples the two parts: its Hessian at z = 1 is diag(12, 4).
    assert suggest_lr(quartic, [wave]).curvature == pytest.approx(12, rel=1e-3)


@pytest.mark.parametrize(("curving", "expected"), [(0.0, 0.0), (-1.0, -2.0)])
def test_a_linear_and_a_concave_loss(curving: float, expected: float) -> None:
    param = theta(30)
    with pytest.warns(UserWarning, match="flat or concave") as caught:
        found = suggest_lr(lambda: torch.sum(param + curving * param**2), [param], alpha=0.5)
    assert found.curvature == pytest.approx(expected, rel=1e-3)
    assert found.limit == 4
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("loss", "error"),
    [
        (lambda t: t, ValueError),
        (lambda t: (1j * t).sum(), ValueError),
        (lambda t: t.sum() * float("nan"), ValueError),
        (lambda t: t.detach().sum(), ValueError),
        (lambda t: theta(3).sum(), ValueError),
        (lambda t: (t - 1).sqrt().sum(), ValueError),  # no finite gradient
        (lambda t: ((t - 1) ** 1.5).sum(), ValueError),  # no gradient nearby
        (lambda t: t.sum().item(), TypeError),
        (lambda t: (t**2).sum().backward(), TypeError),
    ],
)
def test_bad_losses_are_refused(loss: Any, error: type[Exception]) -> None:
    param = theta(3)
    with pytest.raises(error, match="Invalid loss"):
        suggest_lr(lambda: loss(param), [param])
    assert param.grad is None


def test_a_closure_that_calls_backward_leaves_no_gradient() -> None:
    param = theta(3)
    param.grad = gradient = torch.zeros(3)

    def closure() -> Tensor:
        loss = (param**2).sum()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match="backward"):
        suggest_lr(closure, [param])
    assert param.grad is gradient
    assert torch.equal(gradient, torch.zeros(3))


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ([], ValueError),
        ([torch.ones(3)], ValueError),
        ([theta(0)], ValueError),
        (theta(3), TypeError),
        ([1.0], TypeError),
    ],
)
def test_bad_parameters_are_refused(params: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="Invalid params"):
        suggest_lr(lambda: torch.ones(()), params)


def test_an_outer_autocast_keeps_no_weights_of_another_point() -> None:
    weight, inputs = theta(1, 30), torch.eye(30)

    def loss_fn() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return nn.functional.linear(inputs, weight).float().abs().sum()

    with pytest.warns(UserWarning, match="kinks"):
        expected = suggest_lr(loss_fn, [weight])
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.warns(UserWarning, match="kinks"):
            found = suggest_lr(loss_fn, [weight])
        # Nor is one left behind.
        assert loss_fn().item() == 30
    assert found == expected


class NoSecondDerivative(torch.autograd.Function):
    """tanh, as an extension in C++ would have it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (1 - x.tanh() ** 2)  # type: ignore[no-any-return]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_second_derivative_is_needed(dtype: torch.dtype) -> None:
    param = torch.linspace(0.1, 1.5, 40, dtype=dtype, requires_grad=True)
    tanh = NoSecondDerivative.apply
    found = suggest_lr(lambda: tanh(3 * param).square().sum(), [param], 0.5, 0.5)
    expected = suggest_lr(lambda: (3 * param).tanh().square().sum(), [param], 0.5, 0.5)
    assert found.lr == pytest.approx(expected.lr, rel=1e-6)
    assert torch.equal(param, torch.linspace(0.1, 1.5, 40, dtype=dtype))


def test_sparse_embeddings() -> None:
    def curvature(sparse: bool) -> float:
        torch.manual_seed(0)
        model = nn.Embedding(30, 2, sparse=sparse, dtype=torch.float64)
        index = torch.arange(25).repeat(2)
        found = suggest_lr(lambda: model(index).tanh().square().sum(), model.parameters())
        return found.curvature

    assert curvature(sparse=True) == pytest.approx(curvature(sparse=False), rel=1e-3)


def test_the_params_may_be_what_an_optimizer_takes() -> None:
    model, loss_fn = network()
    expected = suggest_lr(loss_fn, model.parameters())
    first, _, last = model
    params: Any
    for params in (
        [*model.parameters(), *model.parameters()],
        model.named_parameters(),
        [{"params": first.parameters()}, {"params": last.parameters(), "lr": 1.0}],
        [{"params": first.named_parameters()}, {"params": last.weight}, last.bias],
    ):
        assert suggest_lr(loss_fn, params) == expected


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True:UserWarning")
def test_reentrant_checkpoints_are_named(requires_grad: bool) -> None:
    model, _ = network()
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=requires_grad)

    def loss_fn(use_reentrant: bool) -> Tensor:
        outputs = checkpoint(model, x, use_reentrant=use_reentrant)
        return outputs.square().mean()  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match="use_reentrant=False"):
        suggest_lr(lambda: loss_fn(True), model.parameters())
    assert suggest_lr(lambda: loss_fn(False), model.parameters()).lr > 0


def test_a_step_out_of_the_losses_domain_is_no_error() -> None:
    param = torch.full((3,), 2.0, requires_grad=True)
    found = suggest_lr(lambda: torch.sum(param.log() ** 2), [param], safety=1e30)
    assert found.curvature == pytest.approx((1 - np.log(2)) / 2, rel=1e-3)
