"""Population-based tuning: the worse run copies the better one and changes its numbers."""

import copy

import torch
from torch import nn

from indian_torch import DampedSGD

torch.manual_seed(0)


def build(lr: float, momentum: float):
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    return model, DampedSGD(model.parameters(), lr=lr, momentum=momentum, damping=0.3)


def train(model: nn.Module, optimizer: DampedSGD) -> float:
    for _ in range(50):
        x = torch.randn(64, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


population = [build(0.001, 0.8), build(0.003, 0.9), build(0.003, 0.95), build(0.01, 0.9)]
for _ in range(8):
    losses = [train(*member) for member in population]
    order = sorted(range(len(population)), key=losses.__getitem__)
    best, worst = population[order[0]], population[order[-1]]
    for part, other in zip(worst, best, strict=True):
        part.load_state_dict(copy.deepcopy(other.state_dict()))
    for group in worst[1].param_groups:
        group["lr"] *= 1.2 if torch.rand(()) < 0.5 else 0.8
        group["momentum"] = min(0.97, max(0.75, group["momentum"] + 0.02))
print(f"loss {min(losses):.3f}")
