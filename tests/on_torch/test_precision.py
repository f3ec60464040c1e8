"""16-bit parameters: the momentum's dtype, stochastic rounding, and mixed precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from indian_torch import INDIAN
from indian_torch.step.precision import round_stochastically
from tests.on_torch.runs import (
    advance,
    assert_close,
    assert_same_run,
    copy_params,
    momenta,
    parameters,
    params_of,
    tensors,
)

SIXTEEN = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize(
    ("dtype", "given"),
    [
        (torch.bfloat16, {}),
        (torch.float16, {}),
        (torch.bfloat16, {"stochastic_rounding": True}),
    ],
    ids=str,
)
def test_the_states_have_their_dtypes_and_digits(
    dtype: torch.dtype, given: dict[str, Any], method: Any, options: dict[str, Any]
) -> None:
    narrow, wide = method(parameters(dtype=dtype), **given, **options), method(parameters())
    copy_params(narrow, wide)
    torch.manual_seed(0)
    for k in range(10):
        advance(narrow, [0.01], first=k)
        for param, gradient in zip(params_of(wide), tensors(k + 1), strict=True):
            param.grad = gradient.to(dtype).double()
        wide.param_groups[0]["lr"] = 0.01
        wide.step()
    for param, other in zip(params_of(narrow), params_of(wide), strict=True):
        state, theirs = narrow.state[param], wide.state[other]
        assert param.dtype == dtype
        assert state["momentum_buffer"].dtype == torch.float32
        if "exp_avg_sq" in state:
            assert state["exp_avg_sq"].dtype == torch.float32
            assert_close(state["exp_avg_sq"].double(), theirs["exp_avg_sq"], 2e-5)
        assert_close(param.detach().double(), other.detach(), 0.05)
    assert_close([s.double() for s in momenta(narrow)], momenta(wide), 1e-4)


@pytest.mark.parametrize("decoupled", [True, False])
def test_weight_decay_under_an_ulp_is_not_lost_to_the_momentum(
    options: dict[str, Any], decoupled: bool
) -> None:
    # γλ is 2^-10 here: in bfloat16 1 − γλ is 1.
    param = torch.nn.Parameter(torch.ones(100_000, dtype=torch.bfloat16))
    torch.manual_seed(0)
    numbers = {"lr": 2.0**-6, "alpha": 0.5, "beta": 1.0, "weight_decay": 2.0**-4}
    optimizer = INDIAN(
        [param],
        **numbers,
        decoupled_weight_decay=decoupled,
        stochastic_rounding=True,
        **options,
    )
    param.grad = torch.zeros_like(param)
    optimizer.step()
    assert param.detach().double().mean().item() == pytest.approx(1 - 2.0**-10, abs=1e-4)


@pytest.mark.parametrize("dtype", SIXTEEN)
def test_stochastic_rounding_goes_to_a_neighbour_and_is_right_in_the_mean(
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(0)
    tiny, limits = torch.finfo(dtype).smallest_normal, torch.finfo(dtype)
    values = torch.tensor([1.001, -1.001, 3.14159, -2.71828, 0.999, 1e-3, tiny / 3.3, -tiny / 7])
    rounded = round_stochastically(values.repeat(40_000, 1), dtype).double()
    for column, value in zip(rounded.T, values.double(), strict=True):
        neighbours = column.unique()
        assert len(neighbours) == 2
        assert neighbours[0] < value < neighbours[1]
        gap = neighbours[1] - neighbours[0]
        assert abs(column.mean() - value) < 4 * gap / 2 / 40_000**0.5
        assert value.to(dtype).double() in neighbours
        between = (neighbours[0] + 0.5 * gap).to(dtype).double()
        assert between in neighbours  # they are neighbours: no number of the dtype is between
    exact = torch.tensor([0.0, -0.0, 1.0, -2.5, limits.max, float("inf"), float("-inf")])
    assert torch.equal(round_stochastically(exact, dtype), exact.to(dtype))
    assert round_stochastically(torch.tensor([float("nan")]), dtype).isnan().all()


def test_stochastic_rounding_moves_where_rounding_to_nearest_stalls(
    options: dict[str, Any],
) -> None:
    def end(stochastic: bool, seed: int = 0) -> torch.Tensor:
        torch.manual_seed(seed)
        param = torch.nn.Parameter(torch.full((1000,), 100.0, dtype=torch.bfloat16))
        optimizer = INDIAN([param], 1e-3, 0.5, 0.1, stochastic_rounding=stochastic, **options)
        for _ in range(50):
            param.grad = torch.ones_like(param)
            optimizer.step()
        return param.detach().double()

    assert (end(stochastic=False) == 100).all()
    # θ falls by Σ γ (w + β v), w = kγ (1 − αβ): 50 γβ + 1225 γ² (1 − αβ).
    fallen = 50 * 1e-4 + 1225 * 1e-6 * 0.95
    assert 100 - end(stochastic=True).mean().item() == pytest.approx(fallen, rel=0.5)
    assert torch.equal(end(stochastic=True), end(stochastic=True))
    assert not torch.equal(end(stochastic=True), end(stochastic=True, seed=1))


def test_a_buffer_of_another_dtype_is_used_as_it_is(method: Any, options: dict[str, Any]) -> None:
    """A model that somebody has cast: the step is computed in the buffer's dtype, or float32."""
    for dtype, digits in ((torch.float64, 1e-6), (torch.bfloat16, 0.02)):
        cast, plain = (method(parameters(dtype=torch.float32), **options) for _ in range(2))
        for optimizer in (cast, plain):
            advance(optimizer, [0.1])
        for state in cast.state.values():
            state["momentum_buffer"] = state["momentum_buffer"].to(dtype)
        for optimizer in (cast, plain):
            advance(optimizer, [0.1], first=1)
        assert momenta(cast)[0].dtype == dtype
        assert_close(params_of(cast), params_of(plain), digits)


def test_stochastic_rounding_leaves_other_dtypes_alone(method: Any) -> None:
    runs = [method(parameters(), stochastic_rounding=rounding) for rounding in (True, False)]
    for optimizer in runs:
        advance(optimizer, [0.1] * 3)
    assert_same_run(*runs, 0)


def test_autocast(method: Any) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 1)
    optimizer = method(model.parameters(), lr=0.02)
    inputs = torch.randn(64, 8)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (model(inputs) - inputs[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_grad_scaler_unscales_and_skips(method: Any) -> None:
    optimizer, expected = (method(parameters(dtype=torch.float32)) for _ in range(2))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for k in range(4):
        for one, other in zip(params_of(optimizer), params_of(expected), strict=True):
            one.grad, other.grad = None, torch.full_like(other, k + 1.0)
        scaler.scale(sum((k + 1.0) * param.sum() for param in params_of(optimizer))).backward()
        if k == 2:
            params_of(optimizer)[0].grad[0] = float("inf")
        scaler.step(optimizer)
        scaler.update()
        if k != 2:
            expected.step()
    assert_same_run(optimizer, expected, 1e-6)
    assert scaler.get_scale() == 512.0
