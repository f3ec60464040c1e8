"""Every implementation makes the steps of the for-loop, on whatever options and tensors.

That the for-loop's are the published ones is what the conformance suite says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from indian_torch import INDIAN, DampedSGD, INNAprop
from indian_torch.step import fused, pieces
from tests.on_torch.runs import (
    IMPLEMENTATIONS,
    LRS,
    METHODS,
    SHAPES,
    advance,
    assert_close,
    assert_same_run,
    momenta,
    parameters,
    params_of,
    tensors,
    with_arguments,
)

FOR_LOOP = IMPLEMENTATIONS["for-loop"]
NOT_FUSED = pytest.mark.parametrize(
    "options", [o for o in IMPLEMENTATIONS.values() if "fused" not in o], ids=str
)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pieces of 16 numbers, so that some parameters are in one piece and some in several."""
    monkeypatch.setattr(pieces, "ON_CPU", 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the parameters that each call of PyTorch's SGD kernel gets."""
    calls: list[int] = []
    kernel = fused.kernel

    def counted(params: list[Tensor], *rest: Any) -> None:
        calls.append(len(params))
        kernel(params, *rest)

    for dtype in (torch.float32, torch.float64):
        assert fused.kernel_works(torch.device("cpu"), dtype)
    monkeypatch.setattr(fused, "kernel", counted)
    return calls


GIVEN = (
    {"weight_decay": 0.3},
    {"weight_decay": 0.3, "decoupled_weight_decay": False},
    {"weight_decay": 0.3, "authors_weight_decay": True},
    {"weight_decay": 0.3, "authors_weight_decay": True, "alpha": 0.5, "beta": 2.0},
    {"damping": 0.4},
    {"alpha": 0.0},
)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(("method", "given"), with_arguments(*GIVEN), ids=str)
def test_going_up_is_going_down_the_negative(
    method: Any, given: dict[str, Any], options: dict[str, Any]
) -> None:
    up = method(parameters(), maximize=True, **given, **options)
    down = method(parameters(), **given, **FOR_LOOP)
    for k, lr in enumerate(LRS):
        advance(up, [lr], first=k)
        gradients = tensors(k + 1)
        assert_close([param.grad for param in params_of(up)], gradients, 0)  # they stay
        for param, gradient in zip(params_of(down), gradients, strict=True):
            param.grad = -gradient
        down.param_groups[0]["lr"] = lr
        down.step()
    assert_same_run(up, down)


def test_coupled_weight_decay_is_a_part_of_the_gradient(options: dict[str, Any]) -> None:
    coupled = INDIAN(parameters(), weight_decay=0.3, decoupled_weight_decay=False, **options)
    plain = INDIAN(parameters(), **FOR_LOOP)
    for k in range(5):
        advance(coupled, [0.1], first=k)
        for param, gradient in zip(params_of(plain), tensors(k + 1), strict=True):
            param.grad = gradient + 0.3 * param.detach()
        plain.step()
    assert_same_run(coupled, plain)


@pytest.mark.usefixtures("small_pieces")
def test_each_parameter_runs_as_if_it_were_alone(method: Any, options: dict[str, Any]) -> None:
    params = parameters([(5,), (5,), (0,), (3, 4)])
    own = {"weight_decay": 0.1, "betas": (0.8, 0.9), "momentum": 0.5, "alpha": 0.3, "beta": 0.7}
    own = {name: value for name, value in own.items() if name in method.arguments}
    together = method([{"params": params[:3]}, {"params": params[3:], **own}], **options)
    alone = [method([nn.Parameter(p.detach().clone())], **FOR_LOOP) for p in params]
    alone[3].param_groups[0].update(own)
    late = params[1]
    for k, lr in enumerate([0.1, 0.0, 0.1, 0.05, 0.1, 0.1]):
        for group in together.param_groups:
            group["lr"] = lr
        assert (late in together.state) == (k > 2)
        gradients = tensors(k, [p.shape for p in params])
        for param, single, gradient in zip(params, alone, gradients, strict=True):
            (twin,) = params_of(single)
            param.grad = twin.grad = None if param is late and k in (0, 1, 4) else gradient
            single.param_groups[0]["lr"] = lr
            single.step()
        together.step()
    for param, single in zip(params, alone, strict=True):
        assert_close([param], params_of(single))
    assert_close(momenta(together), [momentum for each in alone for momentum in momenta(each)])


@NOT_FUSED
def test_complex_parameters_are_pairs_of_real_ones(method: Any, options: dict[str, Any]) -> None:
    (real,) = parameters([(6, 2)])
    wave = nn.Parameter(torch.view_as_complex(real.detach().clone()))
    pairs, optimizer = (method([p], weight_decay=0.1, **options) for p in (real, wave))
    for k in range(4):
        (real.grad,) = tensors(k, [(6, 2)])
        wave.grad = torch.view_as_complex(real.grad.conj_physical()).resolve_conj()
        if k % 2:  # lazily conjugated
            wave.grad = wave.grad.conj().resolve_conj().conj()
        pairs.step()
        optimizer.step()
    assert_close(torch.view_as_real(wave.detach()), real.detach(), 1e-14)
    assert_close([torch.view_as_real(s) for s in momenta(optimizer)], momenta(pairs), 1e-14)
    for name in {"momentum_buffer", "exp_avg_sq"} & optimizer.state[wave].keys():
        assert optimizer.state[wave][name].dtype == torch.complex128


@pytest.mark.parametrize("method", [INDIAN, DampedSGD])
def test_sparse_gradients(method: Any, options: dict[str, Any]) -> None:
    dense, sparse = parameters([(6, 2), (6, 2)])
    sparse.data.copy_(dense.data)
    optimizer = method([dense, sparse], lr=0.05, **options)
    for k in range(3):
        rows = torch.tensor([k, 5])
        dense.grad = torch.zeros(6, 2).double().index_add_(0, rows, torch.ones(2, 2).double())
        sparse.grad = dense.grad.to_sparse(1)
        optimizer.step()
    assert_close(sparse, dense)


# Lazy and strided gradients, and one with a graph.
SPECIAL: dict[str, Callable[[Tensor], Tensor]] = {
    "negated": lambda t: torch.complex(t, t).conj().imag,
    "zero": lambda t: torch._efficientzerotensor(t.shape),
    "expanded": lambda t: t[:1, :1].expand(t.shape),
    "strided": lambda t: torch.view_as_real(torch.complex(t, t))[..., 1],
    "with a graph": lambda t: t.clone().requires_grad_() * 2,
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_gradients_of_special_kinds(kind: str, method: Any, options: dict[str, Any]) -> None:
    given, usual = (method(parameters(dtype=torch.float32), **o) for o in (options, FOR_LOOP))
    for k in range(3):
        for optimizer in (given, usual):
            for param, gradient in zip(params_of(optimizer), tensors(k), strict=True):
                param.grad = gradient.float()
        kept = params_of(given)[1].grad = SPECIAL[kind](tensors(k)[1].float())
        params_of(usual)[1].grad = torch.zeros(3, 4).add_(kept.detach())
        given.step()
        usual.step()
        assert params_of(given)[1].grad is kept
    assert_same_run(given, usual, 1e-5)


def test_a_lazily_negated_parameter(method: Any, options: dict[str, Any]) -> None:
    z = torch.complex(torch.full((3,), 3.0), torch.full((3,), 2.0))
    one, other = nn.Parameter(z.conj().imag), nn.Parameter(torch.full((3,), -2.0))
    assert one.is_neg()
    optimizer = method([one, other], **options)
    for _ in range(3):
        one.grad, other.grad = torch.ones(3), torch.ones(3)
        optimizer.step()
    assert_close(one.resolve_neg(), other, 1e-6)


def strided(kind: str) -> tuple[Tensor, Tensor]:
    """Return a parameter's value and a gradient, in all but one case of different layouts."""
    value, grad = tensors(0, [(4, 3, 5, 5)] * 2, torch.float32)
    value_last, grad_last = (t.to(memory_format=torch.channels_last) for t in (value, grad))
    return {
        "channels_last": (value_last, grad),
        "channels_last gradient": (value, grad_last),
        "both channels_last": (value_last, grad_last),
        "transposed": (value.transpose(0, 1).contiguous().transpose(0, 1), grad),
        "both sliced": tuple(t.repeat_interleave(2, dim=1)[:, ::2] for t in (value, grad)),
        "expanded gradient": (value, grad[:, :1, :1, :1].expand(4, 3, 5, 5)),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("channels_last", False),
        ("channels_last gradient", False),
        ("both channels_last", True),
        ("transposed", False),
        ("both sliced", False),
        ("expanded gradient", False),
    ],
)
def test_layouts(kind: str, fits: bool, options: dict[str, Any], kernel_calls: list[int]) -> None:
    value, grad = strided(kind)
    param, plain = nn.Parameter(value), nn.Parameter(value.contiguous())
    optimizer = INDIAN([param, plain], lr=0.05, **options)
    for _ in range(3):
        param.grad, plain.grad = grad, grad.contiguous()
        optimizer.step()
    assert param.stride() == value.stride()
    assert_close(param, plain, 1e-6)
    assert_close(optimizer.psi(param), optimizer.psi(plain), 1e-6)
    if "fused" in options:
        assert kernel_calls == [2 if fits else 1] * 3


def test_a_parameter_that_changes_its_layout_after_some_steps(method: Any) -> None:
    (value,) = tensors(0, [(4, 3, 5, 5)], torch.float32)
    moving, staying = nn.Parameter(value.clone()), nn.Parameter(value.clone())
    optimizer = method([moving, staying], lr=0.05)
    for k in range(4):
        if k == 2:
            moving.data = moving.data.to(memory_format=torch.channels_last)
        (grad,) = tensors(k, [(4, 3, 5, 5)], torch.float32)
        moving.grad, staying.grad = torch.empty_like(moving).copy_(grad), grad
        optimizer.step()
    assert_close(moving, staying, 1e-6)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("options", [{"foreach": False}, {"fused": True}])
@pytest.mark.parametrize(
    ("method", "given"), with_arguments({}, {"alpha": 0.5, "beta": 2.0}), ids=str
)
def test_what_is_not_finite_stays_where_it_is(
    method: Any, given: dict[str, Any], options: dict[str, Any]
) -> None:
    params = [nn.Parameter(torch.ones(40)), nn.Parameter(torch.ones(3))]
    optimizer = method(params, **given, **options)
    for _ in range(3):
        params[0].grad, params[1].grad = torch.ones(40), torch.ones(3)
        params[0].grad[3], params[0].grad[7] = torch.nan, torch.inf
        optimizer.step()
    assert not params[0][3].isfinite()
    assert params[0].isfinite().sum() >= 38
    assert params[1].isfinite().all()


# When the kernels are used, and what they cost in digits.


def test_float32_takes_the_kernels_by_default(method: Any, kernel_calls: list[int]) -> None:
    advance(method(parameters(dtype=torch.float32)), [0.1] * 3)
    assert kernel_calls == [len(SHAPES)] * 3
    advance(method(parameters(dtype=torch.float64)), [0.1] * 3)
    for options in ({"foreach": False}, {"foreach": True}, {"fused": False}):
        advance(method(parameters(dtype=torch.float32), **options), [0.1] * 3)
    assert kernel_calls == [len(SHAPES)] * 3


def test_the_kernel_does_what_it_can(kernel_calls: list[int]) -> None:
    lrs = [0.1, 0.05, 0.0, 0.25, 0.3, 0.05]  # αγ = 0.4, 0.2, 0, 1, 1.2, 0.2
    advance(INDIAN(parameters(), alpha=4.0, fused=True), lrs)
    assert kernel_calls == [len(SHAPES)] * 3


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("shapes", [[(0,), (5,), (0,)], [(0,)], [(40,), (0,), (0, 3), (16,)]])
def test_parameters_without_numbers_are_no_piece(shapes: list[tuple[int, ...]]) -> None:
    runs = [INNAprop(parameters(shapes), **options) for options in ({"fused": True}, FOR_LOOP)]
    for optimizer in runs:
        advance(optimizer, [0.1] * 3)
    assert_same_run(*runs)


@pytest.mark.parametrize("beta", [0.001, 0.1, 1.0])
@pytest.mark.parametrize("lr", [0.001, 0.1, 0.5])
def test_float32_loses_no_digits_to_the_kernel(beta: float, lr: float) -> None:
    # However far γ is from β, the fused steps err as much as the for-loop's.
    def end(dtype: torch.dtype, **options: Any) -> Tensor:
        optimizer = INDIAN(parameters([(1000,)], dtype), alpha=0.5, beta=beta, **options)
        advance(optimizer, [lr] * 50)
        return params_of(optimizer)[0].detach().double()

    theta = end(torch.float64, **FOR_LOOP)
    plain, kernel = (
        ((end(torch.float32, **options) - theta).norm() / theta.norm()).item()
        for options in (FOR_LOOP, {"fused": True})
    )
    assert kernel < 4 * plain + 1e-7


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_decay_or_gradient_a_moving_lr_leaves_the_momentum_alone(
    dtype: torch.dtype,
) -> None:
    optimizer = INDIAN(parameters([(50,)], dtype), alpha=0.0, fused=True)
    advance(optimizer, [1e-3] * 2)
    (before,), (param,) = momenta(optimizer), params_of(optimizer)
    param.grad = torch.zeros_like(param)
    for k in range(200_000, 210_000):
        optimizer.param_groups[0]["lr"] = 0.4 * (k + 1) ** -0.5
        optimizer.step()
    # At most what it takes to set the scale once.
    assert_close(momenta(optimizer), [before], 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("base", METHODS)
def test_the_direction_of_a_subclass_is_used(base: Any, options: dict[str, Any]) -> None:
    class Sign(base):  # type: ignore[misc]
        def direction(self, gradients: list[Tensor]) -> list[Tensor]:
            return [gradient.sign() for gradient in gradients]

    ours, plain = Sign(parameters(), **options), base(parameters(), **FOR_LOOP)
    for k in range(4):
        advance(ours, [0.1], first=k)
        for param, gradient in zip(params_of(plain), tensors(k + 1), strict=True):
            param.grad = gradient.sign()
        plain.param_groups[0]["lr"] = 0.1
        plain.step()
    assert_same_run(ours, plain)
