"""Federated averaging: each client starts from the shared weights with a momentum of zero."""

import torch
from torch import nn

from indian_torch import DampedSGD

torch.manual_seed(0)
shared = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
clients = [nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1)) for _ in range(3)]
optimizers = [
    DampedSGD(client.parameters(), lr=0.006, momentum=0.9, damping=0.3) for client in clients
]

for _ in range(20):
    losses = []
    for client, optimizer in zip(clients, optimizers, strict=True):
        client.load_state_dict(shared.state_dict())
        for state in optimizer.state.values():
            state["momentum_buffer"].zero_()
        for _ in range(20):
            x = torch.randn(64, 8)
            loss = (client(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        for param, *theirs in zip(
            shared.parameters(), *(client.parameters() for client in clients), strict=True
        ):
            param.copy_(torch.stack(theirs).mean(0))
print(f"loss {max(losses):.3f}")
