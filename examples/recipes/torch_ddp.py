"""Data parallel on two processes: torchrun --nproc-per-node 2 torch_ddp.py."""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from indian_torch import DampedSGD


def train() -> float:
    torch.manual_seed(0)  # the same weights everywhere
    model = DistributedDataParallel(nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1)))
    optimizer = DampedSGD(model.parameters(), lr=0.006, momentum=0.9, damping=0.3)
    torch.manual_seed(1 + dist.get_rank())  # different samples in each process
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
