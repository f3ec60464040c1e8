"""Equinox: the optimizer gets the model's arrays; Equinox's functions save model and state."""

import io

import equinox as eqx
import jax
import jax.numpy as jnp

from indian_optax import damped_sgd

model = eqx.nn.MLP(8, 1, 32, 1, jnp.tanh, key=jax.random.key(0))
optimizer = damped_sgd(0.006, momentum=0.9, damping=0.3)
state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))


@eqx.filter_value_and_grad
def loss_of(model, x):
    return jnp.mean((jax.vmap(model)(x)[:, 0] - x.sum(1)) ** 2)


@eqx.filter_jit(donate="all-except-first")
def step(x, model, state):
    loss, gradients = loss_of(model, x)
    params = eqx.filter(model, eqx.is_inexact_array)
    updates, state = optimizer.update(gradients, state, params)
    return eqx.apply_updates(model, updates), state, loss


for k, key in enumerate(jax.random.split(jax.random.key(1), 300)):
    if k == 150:
        file = io.BytesIO()
        eqx.tree_serialise_leaves(file, (model, state))
        file.seek(0)
        model, state = eqx.tree_deserialise_leaves(file, (model, state))
    model, state, loss = step(jax.random.normal(key, (64, 8)), model, state)
print(f"loss {float(loss):.3f}")
