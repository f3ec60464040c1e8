"""A plain registry: optimizers by name, each with arguments from a configuration."""

import torch
from torch import nn

from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
    "damped_sgd": DampedSGD,
    "damped_adamw": DampedAdamW,
    "indian": INDIAN,
    "innaprop": INNAprop,
}
CONFIGURATIONS = [
    {"name": "damped_sgd", "lr": 0.006, "momentum": 0.9, "damping": 0.3},
    {"name": "damped_adamw", "lr": 1e-2, "betas": [0.9, 0.999]},
]


def train(name: str, **options) -> float:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = OPTIMIZERS[name](model.parameters(), **options)
    for _ in range(300):
        x = torch.randn(64, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


print(f"loss {max(train(**configuration) for configuration in CONFIGURATIONS):.3f}")
