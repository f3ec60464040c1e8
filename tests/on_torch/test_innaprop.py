"""INNAprop: its published recursion and torch's own AdamW, in every implementation and corner."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from indian_core import phase_space
from indian_core.testing import ReferenceINNAprop
from indian_torch import INNAprop
from indian_torch.step import fused, pieces
from tests.on_torch.runs import (
    IMPLEMENTATIONS,
    SHAPES,
    advance,
    assert_follows,
    parameters,
    tensors,
)

DECAYING = [0.4 * (k + 1) ** -0.5 for k in range(30)]
# name: (learning rates, hyperparameters)
RUNS: dict[str, tuple[list[float], dict[str, Any]]] = {
    "the authors' numbers": ([1e-3] * 30, {"alpha": 0.1, "beta": 0.9}),
    "lr = beta": ([0.1] * 30, {"alpha": 0.5, "beta": 0.1}),
    "lr across beta and back": (DECAYING + DECAYING[::-1], {"alpha": 0.5, "beta": 0.2}),
    "alpha lr = 1": ([0.1, 0.25, 0.25, 0.1] * 3, {"alpha": 4.0, "beta": 0.1}),
    "alpha lr > 1": ([0.3, 0.2, 0.4, 0.1] * 3, {"alpha": 4.0, "beta": 0.1}),
    "alpha beta = 1": (DECAYING, {"alpha": 4.0, "beta": 0.25}),
    "alpha beta = 1 but for rounding": (DECAYING, {"alpha": 0.1, "beta": 1 / 0.1 * (1 + 2**-52)}),
    "alpha = 0": ([0.05] * 10, {"alpha": 0.0, "beta": 0.1}),
    "warm-up from 0": ([0.0, 0.0, 0.01, 0.1, 0.0, 0.1], {"alpha": 0.5, "beta": 0.1}),
    "sigma = 0": (DECAYING, {"alpha": 0.5, "beta": 0.3, "sigma": 0.0, "eps": 0.1}),
    "large eps": (DECAYING, {"alpha": 0.5, "beta": 0.3, "sigma": 0.9, "eps": 1.0}),
}


class Reference(ReferenceINNAprop):
    """The published map without its 0/0 at γ = β."""

    advance = staticmethod(phase_space.step)


def by_the_paper(
    params: Sequence[Tensor], lrs: Sequence[float], sign: float = 1.0, **hyperparameters: Any
) -> tuple[list[Tensor], list[Tensor]]:
    """Return θ and ψ of the run that `advance` makes."""
    run = Reference([p.detach().double().numpy() for p in params], **hyperparameters)
    for k, lr in enumerate(lrs):
        run.step([sign * grad.numpy() for grad in tensors(k + 1, [p.shape for p in params])], lr)
    assert run.psi is not None
    return [torch.tensor(t) for t in run.theta], [torch.tensor(np.array(p)) for p in run.psi]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pieces of 16 numbers, so that some parameters are in one piece and some in several."""
    monkeypatch.setattr(pieces, "ON_CPU", 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_implementation_makes_the_published_steps(implementation: str, run: str) -> None:
    lrs, numbers = RUNS[run]
    numbers = {"sigma": 0.99, "eps": 1e-8} | numbers
    params = parameters()
    expected = by_the_paper(params, lrs, **numbers)
    optimizer = INNAprop(params, weight_decay=0.0, **numbers, **IMPLEMENTATIONS[implementation])
    advance(optimizer, lrs)
    assert_follows(optimizer, *expected)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("authors", [False, True])
@pytest.mark.parametrize("beta", [0.2, 2.0])  # αβ = 1 at 2
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_weight_decay_and_maximize(
    implementation: str, beta: float, authors: bool, maximize: bool
) -> None:
    numbers = {"alpha": 0.5, "beta": beta, "sigma": 0.9, "weight_decay": 0.3}
    params = parameters()
    expected = by_the_paper(
        params, DECAYING, -1.0 if maximize else 1.0, **numbers, authors_weight_decay=authors
    )
    options = {"authors_weight_decay": authors, "maximize": maximize}
    optimizer = INNAprop(params, **numbers, **options, **IMPLEMENTATIONS[implementation])
    advance(optimizer, DECAYING)
    assert_follows(optimizer, *expected)


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(IMPLEMENTATIONS, 2)))
def test_a_state_moves_from_one_implementation_to_another(before: str, after: str) -> None:
    numbers = {"alpha": 0.5, "beta": 0.2, "sigma": 0.9, "weight_decay": 0.1}
    params = parameters()
    expected = by_the_paper(params, DECAYING, **numbers)
    optimizer = INNAprop(params, **numbers, **IMPLEMENTATIONS[before])
    advance(optimizer, DECAYING[:13])
    group = optimizer.param_groups[0]
    group.update({"foreach": None, "fused": None, "capturable": False} | IMPLEMENTATIONS[after])
    advance(optimizer, DECAYING[13:], first=13)
    assert_follows(optimizer, *expected)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_each_parameter_counts_its_own_steps(implementation: str) -> None:
    numbers = {"alpha": 0.5, "beta": 0.2, "sigma": 0.9, "weight_decay": 0.1}
    early, late = parameters([(5,), (5,)])
    before = late.detach().clone()
    expected = by_the_paper([late], [0.1] * 3, **numbers)
    optimizer = INNAprop([early, late], **numbers, **IMPLEMENTATIONS[implementation])
    for _ in range(4):
        early.grad = torch.ones(5).double()
        optimizer.step()
    assert torch.equal(late, before)
    assert late not in optimizer.state
    optimizer.param_groups[0]["lr"] = 0.1
    for k in range(3):
        early.grad, late.grad = torch.ones(5).double(), tensors(k + 1, [(5,)])[0]
        optimizer.step()
    assert [float(optimizer.state[p]["step"]) for p in (early, late)] == [7, 3]
    optimizer.param_groups[0]["params"] = [late]
    assert_follows(optimizer, *expected)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("schedule", [[0.01] * 40, [0.01 * (k + 1) ** -0.5 for k in range(40)]])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_without_momentum_it_is_torch_adamw(implementation: str, schedule: list[float]) -> None:
    beta = 0.4
    ours = INNAprop(
        parameters(),
        alpha=1 / beta,
        beta=beta,
        sigma=0.95,
        weight_decay=0.1,
        **IMPLEMENTATIONS[implementation],
    )
    adamw = torch.optim.AdamW(parameters(), betas=(0.0, 0.95), weight_decay=0.1 / beta)
    advance(ours, schedule)
    advance(adamw, [lr * beta for lr in schedule])
    for mine, theirs in zip(
        ours.param_groups[0]["params"], adamw.param_groups[0]["params"], strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("beta", "nesterov"), [(0.1, False), (0.1 * 1.95, True)])
def test_where_the_momentum_is_the_heavy_balls_or_nesterovs_it_is_sgd_on_u(
    beta: float, nesterov: bool
) -> None:
    lr, alpha, sigma = 0.1, 0.5, 0.9
    ours = INNAprop(parameters(), lr, alpha, beta, sigma, weight_decay=0.0)
    theirs = parameters()
    sgd = torch.optim.SGD(theirs, lr=lr**2, momentum=1 - alpha * lr, nesterov=nesterov)
    # u is what torch's RMSprop, whose V is uncorrected, would subtract of zeros.
    zeros = [nn.Parameter(torch.zeros_like(p)) for p in theirs]
    rms = torch.optim.RMSprop(zeros, lr=1.0, alpha=sigma, eps=0.0)
    for k in range(20):
        advance(ours, [lr], first=k)
        for zero, grad in zip(zeros, tensors(k + 1), strict=True):
            zero.data.zero_()
            zero.grad = grad
        rms.step()
        for param, zero in zip(theirs, zeros, strict=True):
            param.grad = -zero.detach() * (1 - sigma ** (k + 1)) ** 0.5
        sgd.step()
    for mine, other in zip(ours.param_groups[0]["params"], theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("shapes", [[(0,), (5,), (0,)], [(0,)], [(40,), (0,), (0, 3), (16,)]])
def test_parameters_without_numbers_are_no_piece(shapes: list[tuple[int, ...]]) -> None:
    numbers = {"alpha": 0.5, "beta": 0.2, "sigma": 0.9, "weight_decay": 0.1}
    params = parameters(shapes)
    expected = by_the_paper(params, [0.1] * 3, **numbers)
    optimizer = INNAprop(params, **numbers, fused=True)
    advance(optimizer, [0.1] * 3)
    assert_follows(optimizer, *expected)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("options", [{}, {"fused": True}])
def test_what_is_not_finite_stays_where_it_is(options: dict[str, Any]) -> None:
    params = [nn.Parameter(torch.ones(40)), nn.Parameter(torch.ones(3))]
    optimizer = INNAprop(params, lr=0.1, **options)
    for _ in range(3):
        for param in params:
            param.grad = torch.ones_like(param)
        assert params[0].grad is not None
        params[0].grad[3], params[0].grad[7] = torch.nan, torch.inf
        optimizer.step()
    finite = params[0].isfinite()
    assert not finite[3]
    assert finite.sum() >= 38
    assert params[1].isfinite().all()


@pytest.mark.parametrize("implementation", [i for i in IMPLEMENTATIONS if i != "fused"])
def test_complex_parameters_are_pairs_of_real_ones(implementation: str) -> None:
    (real,) = parameters([(6, 2)])
    wave = nn.Parameter(torch.view_as_complex(real.detach().clone()))
    options = {"beta": 0.2, "sigma": 0.9, **IMPLEMENTATIONS[implementation]}
    plain, optimizer = (INNAprop([p], lr=0.05, **options) for p in (real, wave))
    for k in range(4):
        (real.grad,) = tensors(k, [(6, 2)])
        wave.grad = torch.view_as_complex(real.grad.clone()).conj().resolve_conj().conj()
        plain.step()
        optimizer.step()
    torch.testing.assert_close(torch.view_as_real(wave.detach()), real.detach(), rtol=0, atol=1e-15)
    state = optimizer.state[wave]
    assert state["exp_avg_sq"].dtype == state["momentum_buffer"].dtype == torch.complex128
    psi = torch.view_as_real(optimizer.psi(wave))
    torch.testing.assert_close(psi, plain.psi(real), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_sparse_gradients_are_refused(implementation: str) -> None:
    embedding, other = nn.Embedding(10, 3, sparse=True), nn.Parameter(torch.ones(2))
    optimizer = INNAprop([other, embedding.weight], **IMPLEMENTATIONS[implementation])
    embedding(torch.tensor([1, 2])).sum().backward()
    other.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="sparse gradients"):
        optimizer.step()
    assert torch.equal(other.detach(), torch.ones(2))
    assert not optimizer.state


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_states_of_16_bit_parameters_are_float32(
    implementation: str, dtype: torch.dtype
) -> None:
    numbers = {"alpha": 0.5, "beta": 0.2, "sigma": 0.999, "weight_decay": 0.1}
    params = parameters(dtype=dtype)
    wide = [param.detach().double() for param in params]
    for options in ({}, {"momentum_dtype": dtype}, {"stochastic_rounding": True}):
        optimizer = INNAprop(params, **numbers, **options, **IMPLEMENTATIONS[implementation])
        run = Reference([t.numpy() for t in wide], **numbers)
        with torch.no_grad():
            for param, theta in zip(params, wide, strict=True):
                param.copy_(theta)
        torch.manual_seed(0)
        for k in range(5):
            advance(optimizer, [0.05], first=k)
            grads = [g.to(dtype).double().numpy() for g in tensors(k + 1)]
            run.step(grads, 0.05)
        for i, param in enumerate(params):
            state = optimizer.state[param]
            assert state["exp_avg_sq"].dtype == torch.float32
            assert state["momentum_buffer"].dtype == options.get("momentum_dtype", torch.float32)
            squares = torch.tensor(run.squares[i])
            torch.testing.assert_close(state["exp_avg_sq"].double(), squares, rtol=2e-5, atol=1e-9)
            theta = torch.tensor(run.theta[i])
            torch.testing.assert_close(param.detach().double(), theta, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("authors", [False, True])
@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1, dtype=torch.float64, requires_grad=True)])
def test_autograd_goes_through_steps(lr: Any, authors: bool) -> None:
    def two_steps(theta: Tensor, lr: Any, *grads: Tensor) -> Tensor:
        param = theta.clone()
        options = {"weight_decay": 0.1, "authors_weight_decay": authors, "sigma": 0.9}
        optimizer = INNAprop([param], lr=lr, differentiable=True, **options)
        for grad in grads:
            param.grad = grad
            optimizer.step()
        return param

    inputs = [t.requires_grad_() for t in (tensors(0, [(4,)])[0], *tensors(1, [(4,), (4,)]))]
    assert torch.autograd.gradcheck(lambda t, *g: two_steps(t, lr, *g), inputs)
    if isinstance(lr, Tensor):
        fixed = [t.detach() for t in inputs]
        assert torch.autograd.gradcheck(lambda lr: two_steps(fixed[0], lr, *fixed[1:]), [lr])


def test_float32_takes_the_kernels_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    kernel = pieces.kernel

    def counted(piece: Any, params: list[Tensor], *rest: Any, **scalars: Any) -> None:
        calls.append(len(params))
        kernel(piece, params, *rest, **scalars)

    assert fused.kernel_works(torch.device("cpu"), torch.float32)
    assert pieces.kernel_works(torch.device("cpu"), torch.float32)
    monkeypatch.setattr(pieces, "kernel", counted)
    advance(INNAprop(parameters(dtype=torch.float32)), [0.1] * 3)
    assert calls == [len(SHAPES)] * 3
    advance(INNAprop(parameters(dtype=torch.float64)), [0.1] * 3)
    advance(INNAprop(parameters(dtype=torch.float32), foreach=False), [0.1] * 3)
    advance(INNAprop(parameters(dtype=torch.float32), foreach=True), [0.1] * 3)
    assert calls == [len(SHAPES)] * 3


@pytest.mark.parametrize("implementation", ["for-loop", "foreach", "automatic"])
def test_float32_is_within_its_rounding(implementation: str) -> None:
    # V stalls at a relative 2^-25/(1 − σ), and u is off by half of that: 1.5e-5.
    numbers = {"alpha": 1.0, "beta": 0.3, "sigma": 0.999, "weight_decay": 0.1}
    params = parameters([(1000,)])
    (theta,), _ = by_the_paper(params, [0.01] * 300, **numbers)
    params[0].data = params[0].data.float()
    advance(INNAprop(params, **numbers, **IMPLEMENTATIONS[implementation]), [0.01] * 300)
    error = (params[0] - theta).norm().item() / theta.norm().item()
    assert error < 1.5e-5


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"beta": (0.9, 0.999)}, TypeError, "beta"),
        ({"sigma": 1.0}, ValueError, "sigma"),
        ({"eps": -1e-8}, ValueError, "eps"),
        ({"authors_weight_decay": "no"}, TypeError, "authors_weight_decay"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=name):
        INNAprop(parameters(), **arguments)
    optimizer = INNAprop(parameters())
    with pytest.raises(error, match=name):
        optimizer.add_param_group({"params": parameters(), **arguments})
    assert len(optimizer.param_groups) == 1
