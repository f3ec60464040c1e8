"""The curvature of torch losses against dense Hessians, and what `suggest_lr` leaves untouched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from indian_core.testing import problems
from indian_torch import INDIAN
from indian_torch.curvature import largest_curvature, suggest_lr


def network(dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Callable[[], Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    x = torch.randn(40, 6, dtype=dtype)
    y = torch.randint(0, 3, (40,))
    return model, lambda: nn.functional.cross_entropy(model(x), y)


def test_single_precision_gives_the_same() -> None:
    def curvature(dtype: torch.dtype) -> float:
        start = [torch.from_numpy(p).to(dtype).requires_grad_() for p in mlp.theta_0]
        batch = [torch.from_numpy(b).to(dtype) for b in mlp.batch(0)]
        return largest_curvature(lambda: mlp.loss(start, batch, torch), start)

    inputs = np.random.default_rng(0).standard_normal((64, 6))
    mlp = problems.mlp(inputs, np.arange(64) % 3)
    assert curvature(torch.float32) == pytest.approx(curvature(torch.float64), rel=2e-3)


@pytest.mark.parametrize("part", [0.95, 1.05])
def test_the_limit_is_where_training_starts_to_diverge(part: float) -> None:
    h = torch.tensor([1.0, 5.0, 30.0], dtype=torch.float64)
    theta = torch.ones(3, dtype=torch.float64, requires_grad=True)

    def loss_fn() -> Tensor:
        return (h * theta**2).sum() / 2

    found = suggest_lr(loss_fn, [theta], alpha=0.5, beta=0.1)
    optimizer = INDIAN([theta], lr=part * found.limit, alpha=0.5, beta=0.1, initial_speed=0.1)
    for _ in range(600):
        optimizer.zero_grad()
        loss_fn().backward()
        optimizer.step()
    assert (loss_fn().item() < 1) == (part < 1)


def test_nothing_of_the_users_is_touched() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 40), nn.Dropout(0.5), nn.ReLU(), nn.Linear(40, 3))
    x, y = torch.randn(20, 6), torch.randint(0, 3, (20,))
    gradients = [torch.full_like(p, i) for i, p in enumerate(model.parameters())]
    for p, g in zip(model.parameters(), gradients, strict=True):
        p.grad = g
    before = {name: value.clone() for name, value in model.state_dict().items()}
    storage = [p.data_ptr() for p in model.parameters()]
    versions = [p._version for p in model.parameters()]
    random = torch.get_rng_state()

    masks = []

    def loss_fn() -> Tensor:
        masks.append(torch.rand(3))
        assert model.training
        return nn.functional.cross_entropy(model(x), y)

    suggest_lr(loss_fn, model.parameters())
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert storage == [p.data_ptr() for p in model.parameters()]
    assert versions == [p._version for p in model.parameters()]
    for i, (p, g) in enumerate(zip(model.parameters(), gradients, strict=True)):
        assert p.grad is g
        assert torch.equal(g, torch.full_like(p, i))
    assert torch.equal(torch.get_rng_state(), random)
    # Dropout was the same at both points.
    assert len(masks) == 2
    assert torch.equal(*masks)


def test_an_error_in_the_loss_leaves_everything_where_it_was() -> None:
    theta = torch.ones(3, requires_grad=True)
    theta.grad = gradient = torch.zeros(3)
    pointer = theta.data_ptr()
    calls = []

    def loss_fn() -> Tensor:
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("the second time")
        return (theta**2).sum()

    with pytest.raises(KeyError, match="the second time"):
        suggest_lr(loss_fn, [theta])
    assert theta.data_ptr() == pointer
    assert torch.equal(theta, torch.ones(3))
    assert theta.grad is gradient


def test_frozen_and_unused_parameters_do_not_count() -> None:
    used = torch.ones(2, requires_grad=True)
    unused = torch.ones(30, requires_grad=True)
    frozen = torch.full((2,), 100.0)
    params = [unused, frozen, used]
    found = suggest_lr(lambda: torch.sum(3 * used**2 + frozen**2), params)
    assert found.curvature == pytest.approx(6, rel=1e-3)


def test_parameters_of_several_dtypes_and_complex_ones() -> None:
    single = torch.ones(20, requires_grad=True)
    wave = torch.ones(20, dtype=torch.complex128, requires_grad=True)

    def loss_fn() -> Tensor:
        # 7 (Re z)² + (Im z)² has curvatures 14 and 2.
        return (single**2).sum() + (7 * wave.real**2 + wave.imag**2).sum()

    def quartic() -> Tensor:
        return (wave.abs() ** 4).sum()

    assert largest_curvature(loss_fn, [single, wave]) == pytest.approx(14, rel=1e-3)
    # |z|⁴ couples the two parts: its Hessian at z = 1 is diag(12, 4).
    assert largest_curvature(quartic, [wave]) == pytest.approx(12, rel=1e-3)


def test_a_linear_loss_is_flat() -> None:
    theta = torch.ones(30, requires_grad=True)
    with pytest.warns(UserWarning, match="The loss is flat or concave here"):
        found = suggest_lr(lambda: torch.sum(theta), [theta], alpha=0.5)
    assert found.curvature == 0
    assert found.limit == 4


def test_a_concave_loss_is_warned_of() -> None:
    theta = torch.full((30,), 0.1, requires_grad=True)
    with pytest.warns(UserWarning, match="flat or concave") as caught:
        found = suggest_lr(lambda: -(theta**2).sum(), [theta])
    assert found.curvature == pytest.approx(-2, rel=1e-3)
    assert caught[0].filename == __file__


def test_the_suggestion_trains_in_the_papers_nonsmooth_valley() -> None:
    problem = problems.valley()
    theta = torch.tensor(problem.theta_0[0], requires_grad=True)

    def loss_fn() -> Tensor:
        return problem.loss([theta], (), torch)  # type: ignore[no-any-return]

    found = suggest_lr(loss_fn, [theta], alpha=0.5, beta=0.1)
    assert found.initial_speed == 0.1
    optimizer = INDIAN([theta], lr=found.lr, alpha=0.5, beta=0.1, initial_speed=0.1)
    start, losses = loss_fn().item(), []
    for _ in range(1500):
        optimizer.zero_grad()
        loss = loss_fn()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert max(losses) <= start
    assert np.mean(losses[-100:]) < 0.2 * start


def theta() -> Tensor:
    return torch.ones(3, requires_grad=True)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda t: t, ValueError, r"Invalid loss: shape \(3,\), torch.float32"),
        (lambda t: (1j * t).sum(), ValueError, r"complex64 \(it must be a real scalar\)"),
        (lambda t: t.sum() * float("nan"), ValueError, "Invalid loss: nan"),
        (lambda t: t.sum() / 0, ValueError, "Invalid loss: inf"),
        (lambda t: t.detach().sum(), ValueError, "does not depend on the params"),
        (lambda t: theta().sum(), ValueError, "does not depend on the params"),
        (lambda t: t.sum().item(), TypeError, r"Invalid loss: float \(loss_fn must return"),
        (lambda t: (t**2).sum().backward(), TypeError, "Invalid loss: NoneType"),
    ],
)
def test_bad_losses_are_refused(loss: Any, error: type[Exception], message: str) -> None:
    params = [theta()]
    with pytest.raises(error, match=message):
        suggest_lr(lambda: loss(params[0]), params)
    assert params[0].grad is None


def test_a_loss_whose_derivatives_are_not_finite_is_refused() -> None:
    at_zero = torch.zeros(3, requires_grad=True)
    with pytest.raises(ValueError, match="Invalid loss: its gradient is NaN or infinite"):
        suggest_lr(lambda: torch.sum(at_zero.sqrt()), [at_zero])
    with pytest.raises(ValueError, match="its second derivatives are NaN or infinite"):
        suggest_lr(lambda: torch.sum(at_zero**1.5), [at_zero])


def test_a_closure_that_calls_backward_is_refused_and_leaves_no_gradient() -> None:
    param = theta()
    param.grad = gradient = torch.zeros(3)

    def closure() -> Tensor:
        loss = (param**2).sum()
        loss.backward()
        return loss

    with pytest.raises(ValueError, match=r"loss_fn must not call backward\(\)"):
        suggest_lr(closure, [param])
    assert param.grad is gradient
    assert torch.equal(gradient, torch.zeros(3))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "Invalid params: there are none that require gradients"),
        ([torch.ones(3)], ValueError, "Invalid params: there are none that require gradients"),
        ([torch.ones(0, requires_grad=True)], ValueError, "or all are empty"),
        (torch.ones(3, requires_grad=True), TypeError, "Invalid params: a tensor"),
        ([1.0], TypeError, "Invalid params: float"),
    ],
)
def test_bad_parameters_are_refused(params: Any, error: type[Exception], message: str) -> None:
    for function in (suggest_lr, largest_curvature):
        with pytest.raises(error, match=message):
            function(lambda: torch.ones(()), params)  # type: ignore[operator]


def test_bad_hyperparameters_are_refused() -> None:
    params = [theta()]
    for name in ("alpha", "beta", "safety"):
        with pytest.raises(ValueError, match=f"Invalid {name}: -1.0"):
            suggest_lr(lambda: torch.sum(params[0] ** 2), params, **{name: -1.0})


def test_an_outer_autocast_keeps_no_weights_of_another_point() -> None:
    weight = torch.ones(1, 30, requires_grad=True)
    inputs = torch.eye(30)

    def loss_fn() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return nn.functional.linear(inputs, weight).float().abs().sum()

    with pytest.warns(UserWarning, match="the loss has kinks"):
        expected = suggest_lr(loss_fn, [weight])
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.warns(UserWarning, match="the loss has kinks"):
            found = suggest_lr(loss_fn, [weight])
        # Nor is one left behind.
        assert loss_fn().item() == 30
    assert found == expected


def attention(fused: bool) -> tuple[nn.Module, Callable[[], Tensor]]:
    torch.manual_seed(0)
    model = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    x = torch.randn(2, 5, 8, dtype=torch.float64)

    def loss_fn() -> Tensor:
        if fused:
            return model(x, x, x, need_weights=False)[0].square().mean()  # type: ignore[no-any-return]
        return model(x, x, x, need_weights=True)[0].square().mean()  # type: ignore[no-any-return]

    return model, loss_fn


def test_attention_is_evaluated_by_a_kernel_that_has_second_derivatives() -> None:
    fused, plain = attention(True), attention(False)
    expected = largest_curvature(plain[1], plain[0].parameters())
    assert largest_curvature(fused[1], fused[0].parameters()) == pytest.approx(expected, rel=1e-9)


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


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_second_derivatives_the_gradients_are_compared(
    dtype: torch.dtype, size: int
) -> None:
    theta = torch.linspace(0.1, 1.5, size, dtype=dtype, requires_grad=True)
    tanh = NoSecondDerivative.apply
    found = suggest_lr(lambda: tanh(3 * theta).square().sum(), [theta], 0.5, 0.5)
    expected = suggest_lr(lambda: (3 * theta).tanh().square().sum(), [theta], 0.5, 0.5)
    assert found.lr == pytest.approx(expected.lr, rel=2e-3)
    assert torch.equal(theta, torch.linspace(0.1, 1.5, size, dtype=dtype))


def test_sparse_embeddings() -> None:
    def curvature(sparse: bool) -> float:
        torch.manual_seed(0)
        model = nn.Embedding(30, 2, sparse=sparse, dtype=torch.float64)
        index = torch.arange(25).repeat(2)
        return largest_curvature(lambda: model(index).tanh().square().sum(), model.parameters())

    assert curvature(sparse=True) == pytest.approx(curvature(sparse=False), rel=1e-3)


def test_the_params_may_be_what_an_optimizer_takes() -> None:
    model, loss_fn = network()
    expected = suggest_lr(loss_fn, model.parameters())
    first, last = model[0], model[2]  # type: ignore[index]
    for params in (
        model.named_parameters(),
        [{"params": first.parameters()}, {"params": last.parameters(), "lr": 1.0}],
        [{"params": first.named_parameters()}, {"params": last.weight}, last.bias],
    ):
        assert suggest_lr(loss_fn, params) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True:UserWarning")
def test_reentrant_checkpoints_are_named(requires_grad: bool) -> None:
    model, _ = network()
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=requires_grad)

    def loss_fn(use_reentrant: bool) -> Tensor:
        outputs = checkpoint(model, x, use_reentrant=use_reentrant)
        return outputs.square().mean()  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match=r"as far as autograd can see .*use_reentrant=False"):
        suggest_lr(lambda: loss_fn(True), model.parameters())
    assert suggest_lr(lambda: loss_fn(False), model.parameters()).lr > 0


def test_a_step_out_of_the_losses_domain_is_no_error() -> None:
    theta = torch.full((3,), 2.0, requires_grad=True)
    found = suggest_lr(lambda: torch.sum(theta.log() ** 2), [theta], safety=1e30)
    assert found.curvature == pytest.approx((1 - np.log(2)) / 2, rel=1e-3)
