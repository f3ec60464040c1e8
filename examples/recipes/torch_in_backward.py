"""A step for each parameter as soon as its gradient is computed, so no gradient is kept."""

import torch
from torch import nn

from indian_torch import DampedSGD

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
optimizers = {
    param: DampedSGD([param], lr=0.006, momentum=0.9, damping=0.3) for param in model.parameters()
}


def step(param: torch.Tensor) -> None:
    optimizers[param].step()
    optimizers[param].zero_grad()


for param in model.parameters():
    param.register_post_accumulate_grad_hook(step)

for _ in range(300):
    x = torch.randn(64, 8)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    loss.backward()
print(f"loss {loss.item():.3f}")
