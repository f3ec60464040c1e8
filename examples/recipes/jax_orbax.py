"""Orbax: parameters and optimizer state are saved like any other pytrees."""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp

from indian_optax import indian

optimizer = indian(0.1, alpha=0.3, beta=1.0)


@jax.jit
def step(params, state, x):
    loss, gradients = jax.value_and_grad(lambda p: jnp.mean((x @ p - x.sum(1)) ** 2))(params)
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state, loss


params = jnp.zeros(8)
state = optimizer.init(params)
for k, key in enumerate(jax.random.split(jax.random.key(0), 100)):
    if k == 50:
        with tempfile.TemporaryDirectory() as folder, ocp.StandardCheckpointer() as checkpointer:
            path = Path(folder) / "run"
            checkpointer.save(path, {"params": params, "state": state})
            checkpointer.wait_until_finished()
            restored = checkpointer.restore(path, {"params": params, "state": state})
        params, state = restored["params"], restored["state"]
    params, state, loss = step(params, state, jax.random.normal(key, (32, 8)))
print(f"loss {float(loss):.3f}")
