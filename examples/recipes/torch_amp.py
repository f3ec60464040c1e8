"""Mixed precision: float16 and a GradScaler on a GPU, bfloat16 without one on the CPU."""

import torch
from torch import nn

from indian_torch import DampedAdamW

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1)).to(device)
optimizer = DampedAdamW(model.parameters(), lr=1e-2)  # weights and states are float32
dtype = torch.float16 if device == "cuda" else torch.bfloat16
# Only float16 is so narrow that small gradients need a scale.
scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)

for _ in range(200):
    x = torch.randn(64, 8, device=device)
    with torch.autocast(device, dtype):
        loss = (model(x) - x.sum(1, keepdim=True)).float().square().mean()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
print(f"loss {loss.item():.3f}")
