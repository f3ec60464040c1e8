"""SAM and Lookahead around an optimizer: both share its parameter groups."""

import torch
from torch import nn

from indian_torch import DampedSGD


class SAM(torch.optim.Optimizer):
    """The gradient of each step is taken where the loss is worse, at θ + rho g/‖g‖."""

    def __init__(self, params, base, rho: float = 0.05, **options):
        super().__init__(params, {"rho": rho})
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def step(self, closure):
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in params]).norm()
        moves = [p.grad * self.param_groups[0]["rho"] / (norm + 1e-12) for p in params]
        torch._foreach_add_(params, moves)
        with torch.enable_grad():
            loss = closure()
        torch._foreach_sub_(params, moves)
        self.base.step()
        return loss


class Lookahead:
    """Every k steps, the weights go a part of the way from where they were k steps ago."""

    def __init__(self, params, k: int = 5, part: float = 0.5):
        self.params, self.k, self.part, self.count = list(params), k, part, 0
        self.slow = [param.detach().clone() for param in self.params]

    @torch.no_grad()
    def step(self):
        self.count += 1
        if self.count % self.k == 0:
            for slow, param in zip(self.slow, self.params, strict=True):
                slow.lerp_(param, self.part)
                param.copy_(slow)


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = SAM(model.parameters(), DampedSGD, lr=0.01, momentum=0.9, damping=0.3)
lookahead = Lookahead(model.parameters())

for _ in range(400):
    x = torch.randn(64, 8)

    def closure(x=x):
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        return loss

    loss = closure()
    optimizer.step(closure)
    lookahead.step()
print(f"loss {loss.item():.3f}")
