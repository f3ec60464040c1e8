"""Rows of a parameter come and go with their states, as points do in Gaussian splatting."""

import torch
from torch import nn

from indian_torch import DampedAdamW

torch.manual_seed(0)
target = torch.rand(4, 2)
points = nn.Parameter(torch.rand(64, 2))
optimizer = DampedAdamW([{"params": [points], "name": "points"}], lr=1e-2, weight_decay=0.0)


def replace(rows: torch.Tensor, change) -> nn.Parameter:
    """Put a parameter with other rows in the place of the old one."""
    (group,) = optimizer.param_groups
    (old,) = group["params"]
    state = optimizer.state.pop(old)
    for key, value in state.items():
        if key != "step":  # INDIAN and INNAprop have the number "scale" as well
            state[key] = change(value)
    new = nn.Parameter(rows)
    group["params"] = [new]
    optimizer.state[new] = state
    return new


for step in range(300):
    distances = torch.cdist(points, target).min(1).values
    loss = distances.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        near = distances.argsort()[: len(points) // 2]  # prune the far half
        points = replace(points.detach()[near], lambda value, near=near: value[near])
        more = points.detach() + 0.05 * torch.randn_like(points)  # and split the others
        points = replace(
            torch.cat([points.detach(), more]),
            lambda value: torch.cat([value, torch.zeros_like(value)]),
        )
print(f"loss {loss.item():.3f}")
