"""Begin a run in PyTorch and end it in JAX, with the same result as in either framework alone.

In a clone of the repository: pip install ".[torch,optax,move]"
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

import indian_optax
import indian_torch
from indian_core.runs.file import load
from indian_core.runs.layouts import paired

random = np.random.default_rng(0)
inputs = random.standard_normal((64, 5)).astype(np.float32)
targets = np.sin(inputs.sum(axis=1, keepdims=True))

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimizer = indian_torch.DampedAdamW(model.parameters(), lr=0.01)


def train_in_torch(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(torch.tensor(inputs)) - torch.tensor(targets)).square().mean()
        loss.backward()
        optimizer.step()


def loss_in_jax(params):
    hidden = jnp.tanh(inputs @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"])
    return jnp.mean(
        (hidden @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"] - targets) ** 2
    )


params = {
    "Dense_0": {"kernel": jnp.zeros((5, 16)), "bias": jnp.zeros(16)},
    "Dense_1": {"kernel": jnp.zeros((16, 1)), "bias": jnp.zeros(1)},
}
solver = indian_optax.damped_adamw(0.01, weight_decay=0.01)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "run.safetensors"

    train_in_torch(50)
    indian_torch.save_run(path, model, optimizer)
    run = load(path)
    print(run.method, run.step, list(run.parameters))

    table = paired(indian_torch.layout(model), indian_optax.layout(params), "torch", "flax")
    params, state = indian_optax.load_run(path, params, solver.init(params), table)


@jax.jit
def step(params, state):
    updates, state = solver.update(jax.grad(loss_in_jax)(params), state, params)
    return optax.apply_updates(params, updates), state


for _ in range(50):
    params, state = step(params, state)

train_in_torch(50)  # for comparison, the run that stayed in PyTorch
kernel = model[0].weight.detach().numpy().T
difference = np.max(np.abs(np.asarray(params["Dense_0"]["kernel"]) - kernel))
print(
    f"loss {loss_in_jax(params):.4f}  largest difference from the run in PyTorch {difference:.1e}"
)
