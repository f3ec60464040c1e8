"""JAX, jitted with donated buffers: the four methods against optax's SGD, Adam, AdamW, Lion."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.step_time.contenders import Contender
from indian_optax import damped_adamw, damped_sgd, indian, innaprop, power_decay

# The learning rate is small, so that no run leaves the range of float32, even after many steps.
LR = 1e-3
COSINE = optax.cosine_decay_schedule(LR, 1_000_000)
OPTIMIZERS: dict[str, optax.GradientTransformation] = {
    "INDIAN": indian(LR),
    "INDIAN (lr = beta)": indian(LR, beta=LR, initial_speed=LR),
    "INDIAN (power_decay)": indian(power_decay(LR)),
    "INDIAN (cosine decay)": indian(COSINE),
    "INDIAN (cosine and weight decay)": indian(COSINE, weight_decay=1e-2),
    "INDIAN (alpha lr = 1)": indian(LR, alpha=1 / LR),
    "INDIAN (weight decay)": indian(LR, weight_decay=1e-2),
    "DampedSGD": damped_sgd(LR, damping=0.3),
    "DampedSGD (cosine decay)": damped_sgd(COSINE, damping=0.3),
    "DampedSGD (no damping)": damped_sgd(LR, nesterov=True),
    "DampedAdamW": damped_adamw(LR),
    "DampedAdamW (cosine decay)": damped_adamw(COSINE),
    "INNAprop": innaprop(LR, weight_decay=None),
    "INNAprop (weight decay)": innaprop(LR),
    "INNAprop (cosine and weight decay)": innaprop(COSINE),
    "INNAprop (alpha beta = 1)": innaprop(LR, 1.0, 1.0),
    "SGD Nesterov": optax.sgd(LR, 0.9, nesterov=True),
    "SGD Nesterov (cosine decay)": optax.sgd(COSINE, 0.9, nesterov=True),
    "SGD Nesterov (cosine and weight decay)": optax.chain(
        optax.add_decayed_weights(1e-2), optax.sgd(COSINE, 0.9, nesterov=True)
    ),
    "SGD heavy ball": optax.sgd(LR, 0.9),
    "Adam": optax.adam(LR),
    "AdamW": optax.adamw(LR),
    "AdamW (cosine decay)": optax.adamw(COSINE),
    "Lion": optax.lion(LR),
}

BASELINES = ("SGD Nesterov", "Adam", "AdamW")


def contenders(shapes: Sequence[tuple[int, ...]]) -> Iterator[Contender]:
    # The contenders share the gradients, which are not donated.
    keys = jax.random.split(jax.random.key(0), len(shapes))
    gradients = [
        1e-3 * jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)
    ]

    # The copy goes into donated buffers, like the optimizers' writes, because new memory would cost
    # page faults.
    @functools.partial(jax.jit, donate_argnums=0, keep_unused=True)
    def copy(targets: list[jax.Array], sources: list[jax.Array]) -> list[jax.Array]:
        del targets
        return sources

    targets = [jnp.zeros_like(gradient) for gradient in gradients]

    def copy_step() -> None:
        nonlocal targets
        targets = jax.block_until_ready(copy(targets, gradients))

    yield Contender("copy", copy_step, 0)

    params = [jnp.zeros_like(gradient) for gradient in gradients]
    for name, optimizer in OPTIMIZERS.items():
        yield _contender(name, optimizer, params, lambda _, gradients: gradients, (gradients,))


TRAINED = ("INDIAN", "DampedSGD", "INNAprop (weight decay)", "DampedAdamW", "SGD Nesterov", "AdamW")
TRAINING_BASELINES = ("SGD Nesterov (donated)", "AdamW (donated)")


def training(widths: Sequence[int], batch: int) -> Iterator[Contender]:
    key, *keys = jax.random.split(jax.random.key(0), len(widths))
    inputs = jax.random.normal(key, (batch, widths[0]))
    labels = jnp.arange(batch) % widths[-1]
    weights = [
        (jax.random.normal(k, (into, out)) / into**0.5, jnp.zeros(out))
        for k, into, out in zip(keys, widths, widths[1:], strict=False)
    ]

    def loss(params: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        *hidden, (kernel, bias) = params
        for weight, offset in hidden:
            inputs = jax.nn.relu(inputs @ weight + offset)
        logits = inputs @ kernel + bias
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    gradient = jax.jit(jax.grad(loss))

    def alone() -> None:
        jax.block_until_ready(gradient(weights, inputs, labels))

    yield Contender("gradient alone", alone, 0)
    for name in TRAINED:
        for donated in (True, False):
            label = f"{name} ({'donated' if donated else 'not donated'})"
            of, data = OPTIMIZERS[name], (inputs, labels)
            yield _contender(label, of, weights, jax.grad(loss), data, donated)


def _contender(
    name: str,
    optimizer: optax.GradientTransformation,
    weights: Any,
    gradient: Callable[..., Any],
    data: Any,
    donated: bool = True,
) -> Contender:
    """Return the contender whose gradients are ``gradient(params, *data)``."""
    params = jax.tree.map(jnp.copy, weights)
    state = optimizer.init(params)

    def update(params: Any, state: Any, *data: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradient(params, *data), state, params)
        return optax.apply_updates(params, updates), state

    jitted = jax.jit(update, donate_argnums=(0, 1) if donated else ())
    compiled = jitted.lower(params, state, *data).compile()

    def step() -> None:
        nonlocal params, state
        params, state = jax.block_until_ready(compiled(params, state, *data))

    return Contender(name, step, sum(x.nbytes for x in jax.tree.leaves(state)))
