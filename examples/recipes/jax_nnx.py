"""Flax NNX: the optimizer holds the state, and the model holds the parameters."""

import jax
import optax
from flax import nnx

from indian_optax import damped_adamw


class Network(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(8, 32, rngs=rngs)
        self.out = nnx.Linear(32, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x)))


model = Network(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.chain(optax.clip(1.0), damped_adamw(1e-2)), wrt=nnx.Param)


@nnx.jit
def step(model, optimizer, x):
    def loss_of(model):
        return ((model(x)[:, 0] - x.sum(1)) ** 2).mean()

    loss, gradients = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, gradients)
    return loss


for key in jax.random.split(jax.random.key(1), 300):
    loss = step(model, optimizer, jax.random.normal(key, (64, 8)))
print(f"loss {float(loss):.3f}")
