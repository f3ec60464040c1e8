"""The energy of torch's groups and tensors. (Its formula is in tests/conformance.)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from indian_torch import INDIAN
from indian_torch.energy import energy
from tests.on_torch.runs import momenta


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
    before = momenta(optimizer)
    result = energy(optimizer, 2.0)
    assert result.shape == ()
    assert not result.requires_grad
    assert energy(optimizer, torch.tensor([2.0], requires_grad=True)).item() == result.item()
    assert torch.equal(momenta(optimizer)[0], before[0])


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
    assert not optimizer.state[half]
    optimizer.step()
    # w_0 is v here, and w_1 = (1 − αγ + γ (1 − αβ)) v.
    expected = 1.025**2 * (2 * 4 + 2 * 25 + 2)
    assert energy(optimizer, 0.0).item() == pytest.approx(expected, rel=1e-6)


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_of_sharded_parameters_it_is_that_of_the_whole(mesh: DeviceMesh) -> None:
    plain, optimizer = one()
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


@pytest.mark.parametrize("loss", [torch.ones(2), torch.tensor(1j)])
def test_a_loss_that_is_no_scalar_is_refused(loss: Tensor) -> None:
    _, optimizer = one()
    with pytest.raises(ValueError, match="loss"):
        energy(optimizer, loss)


@pytest.mark.parametrize("other", [{"alpha": 0.6}, {"beta": 0.2}, {"maximize": True}])
def test_groups_that_differ_have_no_energy(other: dict[str, Any]) -> None:
    _, optimizer = one()
    optimizer.add_param_group({"params": torch.ones(2, requires_grad=True), **other})
    with pytest.raises(ValueError, match="Invalid param_groups"):
        optimizer.energy(1.0)
