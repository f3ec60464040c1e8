"""Go on from a checkpoint of torch.optim.AdamW: its exp_avg_sq and step, with a momentum of 0."""

import copy

import torch
from torch import nn

from indian_torch import DampedAdamW

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))


def train(optimizer: torch.optim.Optimizer) -> float:
    for _ in range(150):
        x = torch.randn(64, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


adamw = torch.optim.AdamW(model.parameters(), lr=1e-2)
train(adamw)
state_dict = copy.deepcopy(adamw.state_dict())
for state in state_dict["state"].values():
    del state["exp_avg"]  # an average of gradients, not of scaled gradients
optimizer = DampedAdamW(model.parameters(), lr=1e-2)
optimizer.load_state_dict(state_dict)
for group in optimizer.param_groups:  # the checkpoint has put AdamW's own betas there
    group["betas"] = (0.97, 0.999)
print(f"loss {train(optimizer):.3f}")
