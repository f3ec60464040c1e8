"""The energy of a run: the paper's, at the rate of the paper, in every implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from indian_core.energy import energy_rate
from indian_core.testing import problems
from indian_torch import INDIAN
from indian_torch.energy import energy


def run(problem: problems.Problem, steps: int, **options: Any) -> list[float]:
    """The energies before each step."""
    theta = [torch.tensor(t, requires_grad=True) for t in problem.theta_0]
    optimizer = INDIAN(theta, **options)
    energies = []
    for k in range(steps):
        batch = [torch.from_numpy(b) for b in problem.batch(k)]
        optimizer.zero_grad()
        loss = problem.loss(theta, batch, torch)
        loss.backward()
        energies.append(energy(optimizer, loss).item())
        optimizer.step()
    return energies


@pytest.mark.parametrize("make", [problems.quadratic, problems.rosenbrock])
def test_it_falls_at_every_small_step(make: Any) -> None:
    energies = run(make(), 300, lr=1e-4, alpha=0.5, beta=0.1, initial_speed=0.1)
    assert (np.diff(energies) < 0).all()


def test_along_the_valley_it_falls_although_the_loss_does_not() -> None:
    energies = run(problems.valley(), 1500, lr=1e-3, alpha=0.5, beta=0.1, initial_speed=0.1)
    assert (np.diff(energies[::100]) < 0).all()


def test_groups_of_other_dampings_have_one_energy_that_falls_at_its_rate() -> None:
    h = torch.tensor([1.0, 30.0], dtype=torch.float64)
    theta = [torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (1.0, -0.5)]
    dampings = [(0.5, 0.1), (2.0, 1.5)]
    groups = [
        {"params": [t], "alpha": a, "beta": b} for t, (a, b) in zip(theta, dampings, strict=True)
    ]
    lr = 1e-5
    optimizer = INDIAN(groups, lr=lr)
    energies, rates = [], []
    for _ in range(300):
        optimizer.zero_grad()
        both = torch.cat(theta)
        # A coupled quadratic: each group feels the other.
        loss = (h * both**2).sum() / 2 + both.prod()
        loss.backward()
        energies.append(energy(optimizer, loss).item())
        before = [t.item() for t in theta]
        gradients = [t.grad.item() for t in theta if t.grad is not None]
        optimizer.step()
        weight = 1 + dampings[0][0] * dampings[0][1]
        rates.append(
            sum(
                weight / (1 + a * b) * lr * energy_rate(((t.item() - x) / lr) ** 2, v**2, a, b)
                for t, x, v, (a, b) in zip(theta, before, gradients, dampings, strict=True)
            )
        )
    np.testing.assert_allclose(np.diff(energies), rates[:-1], rtol=0.02)


def one(**options: Any) -> tuple[Tensor, INDIAN]:
    theta = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    return theta, INDIAN([theta], lr=0.1, alpha=0.5, beta=0.1, **options)


def test_going_up_is_going_down_the_negative() -> None:
    down, descent = one()
    up, ascent = one(maximize=True)
    for _ in range(5):
        for theta, optimizer, sign in ((down, descent, 1), (up, ascent, -1)):
            optimizer.zero_grad()
            (sign * theta**2).sum().backward()
        assert energy(ascent, -(up**2).sum()).item() == energy(descent, (down**2).sum()).item()
        descent.step()
        ascent.step()


def test_nothing_changes_and_the_loss_may_be_a_number() -> None:
    theta, optimizer = one()
    theta.grad = torch.ones_like(theta)
    optimizer.step()
    state = {k: v.clone() for k, v in optimizer.state[theta].items() if isinstance(v, Tensor)}
    result = energy(optimizer, 2.0)
    assert result.shape == ()
    assert not result.requires_grad
    assert energy(optimizer, torch.tensor([2.0], requires_grad=True)).item() == result.item()
    for name, value in state.items():
        assert torch.equal(optimizer.state[theta][name], value)


def test_parameters_without_a_gradient_are_at_rest() -> None:
    theta, optimizer = one()
    assert energy(optimizer, 3.0).item() == pytest.approx(2 * 1.05 * 3.0)
    assert not optimizer.state[theta]


def test_16_bit_and_complex_and_sparse_parameters_count() -> None:
    half = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    wave = torch.ones(2, dtype=torch.complex128, requires_grad=True)
    rows = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    optimizer = INDIAN([half, wave, rows], lr=0.1, alpha=0.5, beta=0.5, initial_speed=1.5)
    half.grad = torch.full_like(half, 2)
    wave.grad = torch.full_like(wave, 3 + 4j)
    rows.grad = torch.sparse_coo_tensor(
        [[1]], [[1.0, 1.0]], (4, 2), dtype=torch.float64, check_invariants=True
    )
    assert energy(optimizer, 0.0).item() == 0
    optimizer.step()
    # w_0 is v here, and w_1 = (1 − αγ + γ (1 − αβ)) v.
    expected = 1.025**2 * (2 * 4 + 2 * 25 + 2)
    assert energy(optimizer, 0.0).item() == pytest.approx(expected, rel=1e-6)


def test_of_sharded_parameters_it_is_that_of_the_whole() -> None:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        plain, optimizer = one()
        mesh = init_device_mesh("cpu", (1,))
        sharded = nn.Parameter(distribute_tensor(plain.detach().clone(), mesh, [Shard(0)]))
        twin = INDIAN([sharded], lr=0.1, alpha=0.5, beta=0.1)
        for _ in range(3):
            for theta, which in ((plain, optimizer), (sharded, twin)):
                which.zero_grad()
                theta.square().sum().backward()
            found = energy(twin, 1.0)
            assert type(found) is Tensor
            assert found.item() == pytest.approx(energy(optimizer, 1.0).item(), rel=1e-14)
            optimizer.step()
            twin.step()
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("loss", [torch.ones(2), torch.tensor(1j)])
def test_a_loss_that_is_no_scalar_is_refused(loss: Tensor) -> None:
    _, optimizer = one()
    with pytest.raises(ValueError, match="it must be a real scalar"):
        energy(optimizer, loss)


def test_groups_that_go_up_and_down_have_no_energy() -> None:
    _, optimizer = one()
    optimizer.add_param_group({"params": torch.ones(2, requires_grad=True), "maximize": True})
    with pytest.raises(ValueError, match="Invalid maximize"):
        optimizer.energy(1.0)
