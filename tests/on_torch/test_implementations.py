"""The three implementations make the same steps, from one state, in every corner of the algebra."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from indian_core import ALPHA, BETA
from indian_torch import INDIAN
from indian_torch.step import fused
from tests.on_torch.runs import (
    IMPLEMENTATIONS,
    SHAPES,
    advance,
    assert_follows,
    by_the_paper,
    parameters,
    tensors,
)

DECAYING = [0.4 * (k + 1) ** -0.5 for k in range(30)]
# name: (learning rates, α, β, s)
RUNS: dict[str, tuple[list[float], float, float, float]] = {
    "constant lr": ([0.05] * 30, 0.5, 0.1, 1.0),
    "lr = beta": ([0.1] * 30, 0.5, 0.1, 1.0),
    "lr decays across beta": (DECAYING, 0.5, 0.2, 1.0),
    "lr rises across beta": (DECAYING[::-1], 0.5, 0.2, 0.2),
    "lr meets beta": ([0.3, 0.2, 0.1, 0.2, 0.2, 0.3] * 3, 0.5, 0.2, 1.0),
    "alpha lr = 1": ([0.1, 0.25, 0.25, 0.1] * 3, 4.0, 0.1, 1.0),
    "alpha lr near 1": ([0.1, 0.24999, 0.25001, 0.1] * 3, 4.0, 0.1, 1.0),
    "alpha lr > 1": ([0.3, 0.2, 0.4, 0.1] * 3, 4.0, 0.1, 1.0),
    "lr = 0": ([0.1, 0.0, 0.0, 0.1] * 3, 0.5, 0.1, 1.0),
    "lr warms up from 0": ([0.0, 0.01, 0.02, 0.1, 0.1], 0.5, 0.1, 1.0),
    "alpha beta = 1": ([0.05] * 10, 4.0, 0.25, 1.0),
    "alpha beta > 1": (DECAYING, 2.0, 1.0, 0.5),
    "alpha = 0": ([0.05] * 10, 0.0, 0.1, 1.0),
    "at rest": (DECAYING, 0.5, 0.1, 0.1),
    "initial speed 0": (DECAYING, 0.5, 0.1, 0.0),
}


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count the parameters that each call of PyTorch's kernel gets."""
    calls: list[int] = []
    kernel = fused.kernel

    def counted(params: list[torch.Tensor], *rest: Any) -> None:
        calls.append(len(params))
        kernel(params, *rest)

    fused.kernel_works.cache_clear()
    fused.kernel_works(torch.device("cpu"), torch.float32)
    fused.kernel_works(torch.device("cpu"), torch.float64)
    monkeypatch.setattr(fused, "kernel", counted)
    return calls


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_implementation_makes_the_papers_steps(implementation: str, run: str) -> None:
    lrs, alpha, beta, initial_speed = RUNS[run]
    params = parameters()
    expected = by_the_paper(params, lrs, alpha, beta, initial_speed)
    optimizer = INDIAN(
        params,
        alpha=alpha,
        beta=beta,
        initial_speed=initial_speed,
        **IMPLEMENTATIONS[implementation],
    )
    advance(optimizer, lrs)
    assert_follows(optimizer, *expected)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_weight_decay_and_maximize(implementation: str, decoupled: bool, maximize: bool) -> None:
    params = parameters()
    expected = by_the_paper(
        params,
        DECAYING,
        ALPHA,
        BETA,
        sign=-1.0 if maximize else 1.0,
        decoupled=0.3 if decoupled else 0.0,
        coupled=0.0 if decoupled else 0.3,
    )
    optimizer = INDIAN(
        params,
        weight_decay=0.3,
        decoupled_weight_decay=decoupled,
        maximize=maximize,
        **IMPLEMENTATIONS[implementation],
    )
    advance(optimizer, DECAYING)
    assert_follows(optimizer, *expected)


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(IMPLEMENTATIONS, 2)))
def test_a_state_moves_from_one_implementation_to_another(before: str, after: str) -> None:
    params = parameters()
    expected = by_the_paper(params, DECAYING, 0.5, 0.2)
    one = INDIAN(params, alpha=0.5, beta=0.2, **IMPLEMENTATIONS[before])
    advance(one, DECAYING[:10])
    other = INDIAN(params, alpha=0.5, beta=0.2, **IMPLEMENTATIONS[after])
    options = {key: value for key, value in other.param_groups[0].items() if key != "params"}
    other.load_state_dict(one.state_dict())
    other.param_groups[0].update(options)
    advance(other, DECAYING[10:], first=10)
    assert_follows(other, *expected)


def test_the_kernel_does_what_it_can(kernel_calls: list[int]) -> None:
    lrs = [0.1, 0.05, 0.0, 0.25, 0.3, 0.05]  # αγ = 0.4, 0.2, 0, 1, 1.2, 0.2
    advance(INDIAN(parameters(), alpha=4.0, fused=True), lrs)
    assert kernel_calls == [len(SHAPES)] * 3


def test_float32_takes_the_kernel_by_default_and_float64_does_not(kernel_calls: list[int]) -> None:
    advance(INDIAN(parameters(dtype=torch.float32)), [0.1] * 3)
    assert kernel_calls == [len(SHAPES)] * 3
    advance(INDIAN(parameters(dtype=torch.float64)), [0.1] * 3)
    advance(INDIAN(parameters(dtype=torch.float32), foreach=False), [0.1] * 3)
    advance(INDIAN(parameters(dtype=torch.float32), foreach=True), [0.1] * 3)
    advance(INDIAN(parameters(dtype=torch.float32), fused=False), [0.1] * 3)
    assert kernel_calls == [len(SHAPES)] * 3


def strided(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a parameter's value and a gradient, in all but one case of different layouts."""
    (value,) = tensors(0, [(4, 3, 5, 5)], torch.float32)
    grad = torch.arange(300.0).reshape(4, 3, 5, 5) / 300
    value_last, grad_last = (t.to(memory_format=torch.channels_last) for t in (value, grad))
    return {
        "channels_last": (value_last, grad),
        "channels_last gradient": (value, grad_last),
        "both channels_last": (value_last, grad_last),
        "transposed": (value.transpose(0, 1).contiguous().transpose(0, 1), grad),
        "sliced": (value.repeat_interleave(2, dim=1)[:, ::2], grad),
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
        ("sliced", False),
        ("both sliced", False),
        ("expanded gradient", False),
    ],
)
def test_layouts(kind: str, fits: bool, kernel_calls: list[int]) -> None:
    for options in IMPLEMENTATIONS.values():
        value, grad = strided(kind)
        param = torch.nn.Parameter(value)
        plain = torch.nn.Parameter(value.clone(memory_format=torch.contiguous_format))
        optimizer = INDIAN([param, plain], lr=0.05, **options)
        calls = len(kernel_calls)
        for _ in range(3):
            param.grad = grad
            plain.grad = grad.clone(memory_format=torch.contiguous_format)
            optimizer.step()
        assert param.stride() == value.stride()
        torch.testing.assert_close(param, plain, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(optimizer.psi(param), optimizer.psi(plain), rtol=1e-6, atol=1e-6)
        if options in ({"fused": True}, {}):
            assert kernel_calls[calls:] == [2 if fits else 1] * 3


def test_a_parameter_that_changes_its_layout_after_some_steps() -> None:
    (value,) = tensors(0, [(4, 3, 5, 5)], torch.float32)
    moving, staying = torch.nn.Parameter(value.clone()), torch.nn.Parameter(value.clone())
    optimizer = INDIAN([moving, staying], lr=0.05)
    for k in range(4):
        if k == 2:
            moving.data = moving.data.to(memory_format=torch.channels_last)
        (grad,) = tensors(k, [(4, 3, 5, 5)], torch.float32)
        moving.grad, staying.grad = torch.empty_like(moving).copy_(grad), grad
        optimizer.step()
    torch.testing.assert_close(moving, staying, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("what", ["missing", "other signature", "other meaning"])
@pytest.mark.parametrize("options", [{}, {"fused": True}])
def test_without_the_private_kernel_the_steps_are_the_same(
    what: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = torch._fused_sgd_
    if what == "missing":
        monkeypatch.delattr(torch, "_fused_sgd_")
    elif what == "other signature":
        monkeypatch.setattr(torch, "_fused_sgd_", lambda params, grads, buffers, *, lr: None)
    else:

        def other(*lists: Any, lr: float, **scalars: Any) -> None:
            kernel(*lists, lr=2 * lr, **scalars)

        monkeypatch.setattr(torch, "_fused_sgd_", other)
    fused.kernel_works.cache_clear()
    try:
        params = parameters()
        theta, psi = by_the_paper(params, DECAYING, 0.5, 0.2)
        for param in params:
            param.data = param.data.float()
        optimizer = INDIAN(params, alpha=0.5, beta=0.2, **options)
        advance(optimizer, DECAYING)
    finally:
        fused.kernel_works.cache_clear()
    assert_follows(optimizer, [t.float() for t in theta], [p.float() for p in psi], 1e-5)


def test_float32_loses_no_digits_to_the_kernel() -> None:
    # However far γ is from β, the fused steps err as much as the for-loop's.
    for beta, lr in itertools.product([0.001, 0.01, 0.1, 1.0], [0.001, 0.01, 0.1, 0.5]):
        lrs = [lr] * 100
        errors = {}
        for implementation in ("for-loop", "fused"):
            params = parameters([(1000,)])
            (theta,), _ = by_the_paper(params, lrs, 0.5, beta)
            params[0].data = params[0].data.float()
            advance(INDIAN(params, alpha=0.5, beta=beta, **IMPLEMENTATIONS[implementation]), lrs)
            errors[implementation] = (params[0] - theta).norm().item() / theta.norm().item()
        assert errors["fused"] < 4 * errors["for-loop"] + 1e-7, (beta, lr, errors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_decay_or_gradient_a_moving_lr_leaves_the_momentum_alone(
    dtype: torch.dtype,
) -> None:
    (param,) = parameters([(50,)], dtype)
    optimizer = INDIAN([param], lr=1e-3, alpha=0.0, fused=True)
    (param.grad,) = tensors(1, [(50,)], dtype)
    optimizer.step()
    optimizer.step()

    def momentum() -> torch.Tensor:
        state = optimizer.state[param]
        return state["momentum_buffer"].double() / state["scale"]  # type: ignore[no-any-return]

    before = momentum()
    param.grad.zero_()
    group = optimizer.param_groups[0]
    for k in range(200_000, 220_000):
        group["lr"] = 0.4 * (k + 1) ** -0.5
        optimizer.step()
    # At most what it takes to set the scale once.
    torch.testing.assert_close(momentum(), before, rtol=4 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("others", [[], [(3, 4)]], ids=["alone", "beside another"])
@pytest.mark.parametrize("size", [1, 6000])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_parameter_of_another_size_than_its_momentum_is_refused(
    implementation: str, size: int, others: list[tuple[int, ...]]
) -> None:
    params = parameters([(4,), *others], torch.float32)
    optimizer = INDIAN(params, **IMPLEMENTATIONS[implementation])
    advance(optimizer, [0.1])
    param, buffer = params[0], optimizer.state[params[0]]["momentum_buffer"]
    before = buffer.clone()
    param.grad = None
    param.data = torch.ones(size)
    param.grad = torch.ones(size)
    with pytest.raises(ValueError, match=rf"momentum_buffer: its shape is \(4,\).* \({size},\)"):
        optimizer.step()
    assert torch.equal(param.detach(), torch.ones(size))
    assert torch.equal(buffer, before)
