"""Go on from a checkpoint of the authors' own code, whose state is ψ and a count."""

import torch
from torch import nn

from indian_torch import INDIAN, PowerDecayLR


class AuthorsINNA(torch.optim.Optimizer):
    """The authors' optimizer, as far as a checkpoint shows it."""

    def __init__(self, params, lr=0.1, alpha=0.5, beta=0.1, decaypower=0.5, weight_decay=0.0):
        group = {"lr": lr, "alpha": alpha, "beta": beta}
        super().__init__(params, group | {"decaypower": decaypower, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            alpha, beta = group["alpha"], group["beta"]
            for param in group["params"]:
                state = self.state[param]
                if not state:
                    state |= {"step": 0, "psi": (1 - alpha * beta) * param.detach().clone()}
                lr = group["lr"] / (state["step"] + 1) ** group["decaypower"]
                drift = (1 / beta - alpha) * param - state["psi"] / beta
                change = drift - beta * param.grad - group["weight_decay"] * param
                state["psi"].add_(drift, alpha=lr)
                param.add_(change, alpha=lr)
                state["step"] += 1


def resume(params, theirs):
    """Return an INDIAN and its scheduler that go on where the authors' state dict ends.

    The parameters must already hold the checkpoint's weights.
    """
    params = list(params)
    (group,) = theirs["param_groups"]
    # Their weight decay leaves ψ as it is, which makes it L2 regularization with λ/β.
    optimizer = INDIAN(
        params,
        lr=group["lr"],
        alpha=group["alpha"],
        beta=group["beta"],
        weight_decay=group["weight_decay"] / group["beta"],
        decoupled_weight_decay=False,
    )
    for number, state in theirs["state"].items():
        optimizer.set_psi(params[number], state["psi"])
    steps = max(state["step"] for state in theirs["state"].values())
    optimizer.param_groups[0]["initial_lr"] = group["lr"]
    return optimizer, PowerDecayLR(optimizer, group["decaypower"], last_epoch=steps - 1)


def train(model, optimizer, steps, seed, scheduler=None):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(64, 8, generator=generator)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return loss.item()


torch.manual_seed(0)
model, other = (nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1)) for _ in range(2))
authors = AuthorsINNA(model.parameters(), weight_decay=1e-4)
train(model, authors, 100, seed=1)
other.load_state_dict(model.state_dict())
optimizer, scheduler = resume(other.parameters(), authors.state_dict())
loss = train(other, optimizer, 400, 2, scheduler)
assert abs(loss - train(model, authors, 400, 2)) < 1e-3 * loss  # the authors' run, gone on
print(f"loss {loss:.3f}")
