"""Eight learning rates at once: the optimizer is made inside vmap, from traced numbers."""

import jax
import jax.numpy as jnp
import optax

from indian_optax import indian


def loss_of(params, x):
    return jnp.mean((jnp.tanh(x @ params[0]) @ params[1] - x.sum(1)) ** 2)


def train(lr):
    optimizer = indian(lr, alpha=0.3, beta=1.0)
    first, second = jax.random.split(jax.random.key(0))
    params = [
        jax.random.normal(first, (8, 32)) / 8**0.5,
        jax.random.normal(second, (32,)) / 32**0.5,
    ]

    def step(carry, key):
        params, state = carry
        loss, gradients = jax.value_and_grad(loss_of)(params, jax.random.normal(key, (64, 8)))
        updates, state = optimizer.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), loss

    keys = jax.random.split(jax.random.key(1), 300)
    _, losses = jax.lax.scan(step, (params, optimizer.init(params)), keys)
    return losses[-20:].mean()


lrs = jnp.geomspace(1e-3, 1e-1, 8)
losses = jax.jit(jax.vmap(train))(lrs)
for lr, loss in zip(lrs, losses, strict=True):
    print(f"lr {float(lr):.4f}  loss {float(loss):.3f}")
print(f"best: lr {float(lrs[jnp.argmin(losses)]):.4f}, loss {float(losses.min()):.3f}")
