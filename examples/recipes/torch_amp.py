"""Mixed precision: autocast in bfloat16, a GradScaler, and float32 weights and states."""

import torch
from torch import nn

from indian_torch import INNAprop

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = INNAprop.from_adam(model.parameters(), lr=1e-2)
scaler = torch.amp.GradScaler("cpu")

for _ in range(200):
    x = torch.randn(64, 8)
    with torch.autocast("cpu", torch.bfloat16):
        loss = (model(x) - x.sum(1, keepdim=True)).float().square().mean()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
print(f"loss {loss.item():.3f}")
