"""No weight decay for biases and norms; warm-up and cosine; resume from a checkpoint."""

import io

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from indian_torch import DampedAdamW


def build():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 1))
    weights = [param for param in model.parameters() if param.ndim > 1]
    others = [param for param in model.parameters() if param.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = DampedAdamW(groups, lr=1e-2)
    # `lr` is AdamW's learning rate, so the schedule's factors are the same as for AdamW.
    warmup = LinearLR(optimizer, 0.01, total_iters=20)
    cosine = CosineAnnealingLR(optimizer, 180)
    return model, optimizer, SequentialLR(optimizer, [warmup, cosine], [20])


parts = build()
for step in range(200):
    model, optimizer, scheduler = parts
    x = torch.randn(64, 8)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step == 99:  # as if the process ended here, and another one resumed
        file = io.BytesIO()
        torch.save([part.state_dict() for part in parts], file)
        file.seek(0)
        parts = build()
        for part, state in zip(parts, torch.load(file), strict=True):
            part.load_state_dict(state)
print(f"loss {loss.item():.3f}")
