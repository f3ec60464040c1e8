"""DTensors in one process: the step works on their shards, and autograd knows of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor


@pytest.fixture(scope="module")
def mesh() -> Iterator[DeviceMesh]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def sharded(mesh: DeviceMesh, value: float) -> nn.Parameter:
    return nn.Parameter(distribute_tensor(torch.full((4,), value), mesh, [Shard(0)]))


@pytest.mark.parametrize("options", [{}, {"foreach": False}, {"foreach": True}, {"fused": True}])
def test_a_graph_from_before_the_step_is_no_longer_valid(
    mesh: DeviceMesh, options: dict[str, Any], method: Any
) -> None:
    param, other = sharded(mesh, 1.0), sharded(mesh, 2.0)
    optimizer = method([param], **options)
    product = (param * other).sum()
    param.grad = torch.ones_like(param)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_the_order_of_imports_does_not_matter() -> None:
    program = """
import torch.distributed as dist, torch
from torch.distributed.tensor import distribute_tensor, Shard
from torch.distributed.device_mesh import init_device_mesh
from indian_torch import INDIAN
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
mesh = init_device_mesh("cpu", (1,))
param = torch.nn.Parameter(distribute_tensor(torch.ones(4), mesh, [Shard(0)]))
param.grad = torch.ones_like(param)
INDIAN([param], lr=0.25, initial_speed=1.0).step()
print(param.to_local().tolist())
dist.destroy_process_group()
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.stdout == "[0.75, 0.75, 0.75, 0.75]\n", result.stderr
