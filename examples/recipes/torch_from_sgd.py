"""Go on from a checkpoint of torch.optim.SGD, and turn a damping on later."""

import torch
from torch import nn

from indian_torch import DampedSGD

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))


def train(optimizer: torch.optim.Optimizer) -> float:
    for _ in range(200):
        x = torch.randn(64, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


sgd = torch.optim.SGD(model.parameters(), lr=0.006, momentum=0.9)
train(sgd)
optimizer = DampedSGD(model.parameters())
optimizer.load_state_dict(sgd.state_dict())  # the same run from here on
train(optimizer)
for group in optimizer.param_groups:
    group["damping"] = 0.3
print(f"loss {train(optimizer):.3f}")
