"""Accelerate: prepare the optimizer like any other."""

import torch
from accelerate import Accelerator
from torch import nn

from indian_torch import DampedSGD

torch.manual_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = DampedSGD(model.parameters(), lr=0.006, momentum=0.9, damping=0.3)
model, optimizer = accelerator.prepare(model, optimizer)

for _ in range(600):
    with accelerator.accumulate(model):
        x = torch.randn(32, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
print(f"loss {loss.item():.3f}")
