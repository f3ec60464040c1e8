"""A whole epoch as one scanned program, whose buffers are donated so that it updates in place."""

import functools

import jax
import jax.numpy as jnp
import optax

from indian_optax import damped_adamw


def network(params, x):
    return jnp.tanh(x @ params["kernel 1"]) @ params["kernel 2"]


def loss_of(params, x):
    return jnp.mean((network(params, x)[:, 0] - x.sum(1)) ** 2)


schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 20, 300)
optimizer = optax.chain(optax.clip_by_global_norm(1.0), damped_adamw(schedule))


@functools.partial(jax.jit, donate_argnums=(0, 1))
def epoch(params, state, key):
    def step(carry, key):
        params, state = carry
        loss, gradients = jax.value_and_grad(loss_of)(params, jax.random.normal(key, (64, 8)))
        updates, state = optimizer.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), loss

    (params, state), losses = jax.lax.scan(step, (params, state), jax.random.split(key, 100))
    return params, state, losses[-1]


keys = jax.random.split(jax.random.key(0), 2)
params = {
    "kernel 1": jax.random.normal(keys[0], (8, 32)) / 8**0.5,
    "kernel 2": jax.random.normal(keys[1], (32, 1)) / 32**0.5,
}
state = optimizer.init(params)
for key in jax.random.split(jax.random.key(1), 3):
    params, state, loss = epoch(params, state, key)
print(f"loss {float(loss):.3f}")
