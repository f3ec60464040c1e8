"""16-bit parameters: the momentum's dtype, stochastic rounding, and mixed precision."""

from __future__ import annotations

import pytest
import torch

from indian_core import ALPHA, BETA
from indian_torch import INDIAN
from indian_torch.step.precision import round_stochastically
from tests.on_torch.runs import IMPLEMENTATIONS, advance, by_the_paper, parameters, tensors

SIXTEEN = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", SIXTEEN)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_momentum_is_float32(implementation: str, dtype: torch.dtype) -> None:
    params = parameters(dtype=dtype)
    lr, alpha, beta, count = 0.05, 0.5, 0.1, 20
    optimizer = INDIAN(params, lr, alpha, beta, 1.0, **IMPLEMENTATIONS[implementation])
    advance(optimizer, [lr] * count)
    for i, param in enumerate(params):
        grads = [tensors(k + 1)[i].to(dtype).double() for k in range(count)]
        w = (1 - beta) * grads[0]
        for grad in grads:
            w = (1 - alpha * lr) * w + lr * (1 - alpha * beta) * grad
        state = optimizer.state[param]
        assert param.dtype == dtype
        assert state["momentum_buffer"].dtype == torch.float32
        momentum = state["momentum_buffer"].double() / float(state["scale"])
        torch.testing.assert_close(momentum, w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_momentum_dtype(implementation: str) -> None:
    for dtype, momentum_dtype in (
        (torch.bfloat16, torch.bfloat16),
        (torch.bfloat16, torch.float64),
        (torch.float32, torch.float64),
        (torch.float32, torch.bfloat16),
    ):
        params = parameters(dtype=dtype)
        theta, _ = by_the_paper([param.double() for param in params], [0.05] * 5, ALPHA, BETA)
        optimizer = INDIAN(params, momentum_dtype=momentum_dtype, **IMPLEMENTATIONS[implementation])
        advance(optimizer, [0.05] * 5)
        for param, expected in zip(params, theta, strict=True):
            assert optimizer.state[param]["momentum_buffer"].dtype == momentum_dtype
            torch.testing.assert_close(param.detach().double(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("decoupled", [True, False])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_weight_decay_under_an_ulp_is_not_lost_to_the_momentum(
    implementation: str, decoupled: bool
) -> None:
    # γλ is 2^-10 here: in bfloat16 1 − γλ is 1.
    param = torch.nn.Parameter(torch.ones(100_000, dtype=torch.bfloat16))
    torch.manual_seed(0)
    optimizer = INDIAN(
        [param],
        lr=2.0**-6,
        alpha=0.5,
        beta=1.0,
        weight_decay=2.0**-4,
        decoupled_weight_decay=decoupled,
        stochastic_rounding=True,
        **IMPLEMENTATIONS[implementation],
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
        nearest = value.to(dtype).double()
        assert nearest in neighbours
        between = (neighbours[0] + 0.5 * gap).to(dtype).double()
        assert between in neighbours  # they are neighbours: no number of the dtype is between
    exact = torch.tensor([0.0, -0.0, 1.0, -2.5, limits.max, float("inf"), float("-inf")])
    assert torch.equal(round_stochastically(exact, dtype), exact.to(dtype))
    assert round_stochastically(torch.tensor([float("nan")]), dtype).isnan().all()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("wide_momentum", [True, False])
@pytest.mark.parametrize("dtype", SIXTEEN)
def test_stochastic_rounding_moves_where_rounding_to_nearest_stalls(
    dtype: torch.dtype, wide_momentum: bool, implementation: str
) -> None:
    def end(stochastic: bool, seed: int = 0) -> torch.Tensor:
        torch.manual_seed(seed)
        param = torch.nn.Parameter(torch.full((1000,), 100.0, dtype=dtype))
        optimizer = INDIAN(
            [param],
            lr=1e-3,
            alpha=0.5,
            beta=0.1,
            initial_speed=0.1,
            momentum_dtype=torch.float32 if wide_momentum else dtype,
            stochastic_rounding=stochastic,
            **IMPLEMENTATIONS[implementation],
        )
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


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_step_with_a_sixteen_bit_momentum_is_rounded_once(implementation: str) -> None:
    """Computed in float32, whatever the dtypes: to the digit that of a float32 momentum."""
    torch.manual_seed(0)
    theta, w, v = torch.randn(3, 1000).bfloat16().unbind()
    ends = []
    for dtype in (torch.bfloat16, torch.float32):
        param = torch.nn.Parameter(theta.clone())
        optimizer = INDIAN([param], momentum_dtype=dtype, **IMPLEMENTATIONS[implementation])
        optimizer.set_psi(param, theta)
        optimizer.state[param]["momentum_buffer"].copy_(w)
        optimizer.state[param]["scale"] = 1.0
        param.grad = v.clone()
        optimizer.step()
        buffer = optimizer.state[param]["momentum_buffer"] / optimizer.state[param]["scale"]
        ends.append((param.detach(), buffer.bfloat16()))
    for narrow, wide in zip(*ends, strict=True):
        assert torch.equal(narrow, wide)


def test_stochastic_rounding_leaves_other_dtypes_alone() -> None:
    one, other = parameters(dtype=torch.float32), parameters(dtype=torch.float32)
    advance(INDIAN(one, stochastic_rounding=True), [0.1] * 3)
    advance(INDIAN(other), [0.1] * 3)
    assert all(map(torch.equal, one, other))


def test_autocast() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 1)
    optimizer = INDIAN(model.parameters(), lr=0.02)
    inputs = torch.randn(64, 8)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (model(inputs) - inputs[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_grad_scaler_unscales_and_skips() -> None:
    params, plain = parameters(dtype=torch.float32), parameters(dtype=torch.float32)
    optimizer, expected = INDIAN(params), INDIAN(plain)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for k in range(4):
        for one, other in zip(params, plain, strict=True):
            other.grad = torch.full_like(other, k + 1.0)
            one.grad = None
        scaler.scale(sum((k + 1.0) * param.sum() for param in params)).backward()
        if k == 2:
            params[0].grad[0] = float("inf")
        scaler.step(optimizer)
        scaler.update()
        if k != 2:
            expected.step()
    for one, other in zip(params, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    assert scaler.get_scale() == 512.0
