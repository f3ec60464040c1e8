"""Sharded weights and states: torchrun --nproc-per-node 2 torch_fsdp2.py."""

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from indian_torch import DampedAdamW


def train() -> float:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    fully_shard(model, mesh=mesh)
    optimizer = DampedAdamW(model.parameters(), lr=1e-2)  # after the weights are sharded
    torch.manual_seed(1 + dist.get_rank())
    for _ in range(200):
        x = torch.randn(32, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


dist.init_process_group("gloo")
loss = train()
if dist.get_rank() == 0:
    print(f"loss {loss:.3f}")
# The model is gone by now. If it still held the group, it might abort the process at exit.
dist.barrier()
dist.destroy_process_group()
