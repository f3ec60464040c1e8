"""Donated buffers are updated in place: the compiled step has no temporary as large as a leaf."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from indian_optax import damped_adamw, damped_sgd, indian, innaprop, power_decay

LEAF = (512, 512)
BYTES = 4 * 512 * 512


def compiled_step(
    optimizer: optax.GradientTransformation,
    dtype: Any = jnp.float32,
    leaf: tuple[int, ...] = LEAF,
) -> Any:
    params = [jnp.ones(leaf, dtype), jnp.ones(leaf, dtype)]
    state = optimizer.init(params)

    def step(params: Any, state: Any, gradients: Any) -> Any:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(step, donate_argnums=(0, 1)).lower(params, state, params).compile()


def temporary_bytes(optimizer: Any, *of: Any) -> int:
    return int(compiled_step(optimizer, *of).memory_analysis().temp_size_in_bytes)


COSINE = optax.cosine_decay_schedule(0.1, 1000)

IN_PLACE = {
    "number": indian(0.1),
    "lr = beta": indian(0.1, 0.5, 0.1, 0.1),
    "alpha lr > 1": indian(4.0, 0.5, 0.5),
    "alpha lr = 1": indian(2.0, 0.5, 0.5),
    "weight decay": indian(0.1, weight_decay=0.1),
    "power_decay": indian(power_decay(0.1), weight_decay=0.1),
    "schedule": indian(COSINE),
    "schedule, masked decay": indian(COSINE, weight_decay=COSINE, mask=[True, False]),
    "damped_sgd": damped_sgd(0.1, damping=0.3),
    "damped_sgd, schedule": damped_sgd(COSINE, 0.9, nesterov=True),
    "damped_sgd, injected": optax.inject_hyperparams(damped_sgd)(
        COSINE, optax.constant_schedule(0.9), damping=optax.constant_schedule(0.3)
    ),
    "chain": optax.chain(optax.clip(1.0), indian(COSINE)),
    "injected": optax.inject_hyperparams(indian)(COSINE, alpha=COSINE),
    "partition": optax.partition({"a": indian(COSINE), "b": indian(2.0, 0.5, 0.5)}, ["a", "b"]),
    # Of these no scaled gradient is stored either.
    "innaprop": innaprop(0.1),
    "innaprop, schedule, masked decay": innaprop(COSINE, weight_decay=COSINE, mask=[True, False]),
    "alpha beta = 1": innaprop(0.1, 1.0, 1.0),
    "the authors' decay": innaprop(COSINE, authors_weight_decay=True),
    "innaprop, injected": optax.inject_hyperparams(innaprop)(COSINE, alpha=COSINE),
    "damped_adamw": damped_adamw(COSINE),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_no_temporary_copies(name: str) -> None:
    step = compiled_step(IN_PLACE[name])
    assert step.memory_analysis().temp_size_in_bytes < BYTES // 16
    assert "conditional" not in step.as_text()


@pytest.mark.parametrize("optimizer", [indian(0.1), indian(COSINE, weight_decay=0.1)])
def test_no_temporary_copies_of_bfloat16(optimizer: Any) -> None:
    assert temporary_bytes(optimizer, jnp.bfloat16) < BYTES // 32


def test_no_temporary_copies_in_a_loop() -> None:
    optimizer = indian(COSINE)
    params = jnp.ones(LEAF)
    run = params, optimizer.init(params)

    def step(_: Any, run: Any) -> Any:
        params, state = run
        updates, state = optimizer.update(jnp.ones_like(params), state, params)
        return optax.apply_updates(params, updates), state

    loop = jax.jit(lambda run: jax.lax.fori_loop(0, 9, step, run), donate_argnums=0)
    analysis = loop.lower(run).compile().memory_analysis()
    assert int(analysis.temp_size_in_bytes) < BYTES // 16


def test_without_params_only_the_momentum_law_is_in_place() -> None:
    """And it is the measure that these tests stand on: XLA on CPUs does copy."""
    if jax.default_backend() != "cpu":
        pytest.skip("on CPUs only")
    assert temporary_bytes(without_params(damped_sgd(COSINE, damping=0.3))) < BYTES // 16
    assert temporary_bytes(without_params(indian(COSINE))) >= BYTES


def without_params(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    return optax.GradientTransformation(
        optimizer.init, lambda updates, state, params=None: optimizer.update(updates, state)
    )


@pytest.mark.parametrize("name", IN_PLACE)
def test_the_order_changes_no_number(name: str) -> None:
    """Compiled, where w waits for θ on leaves that are not small, and eager, where it does not."""
    optimizer = IN_PLACE[name]

    def step(params: Any, state: Any) -> Any:
        updates, state = optimizer.update(jax.tree.map(jnp.cos, params), state, params)
        return optax.apply_updates(params, updates), state

    params = [jnp.linspace(-1, 1, 2**14), jnp.linspace(2, 3, 2**14)]
    eager = compiled = params, optimizer.init(params)
    for _ in range(3):
        eager, compiled = step(*eager), jax.jit(step)(*compiled)
    for one, other in zip(jax.tree.leaves(eager), jax.tree.leaves(compiled), strict=True):
        # XLA contracts a product and a sum where it sees both: one rounding less.
        assert jnp.allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 2.0, COSINE], ids=["number", "alpha lr = 1", "schedule"])
@pytest.mark.parametrize("jitted", [False, True])
def test_without_params_it_is_the_same_step(rate: Any, jitted: bool) -> None:
    """At αγ = 1 too, where θ cannot be written from the new w."""
    optimizer = indian(rate, alpha=0.5, beta=0.1)
    update = jax.jit(optimizer.update) if jitted else optimizer.update
    params = jnp.linspace(-1, 1, 2**14)
    given = alone = optimizer.init(params)
    for k in range(3):
        expected, given = update(jnp.cos(params + k), given, params)
        actual, alone = update(jnp.cos(params + k), alone)
        assert jnp.allclose(actual, expected, rtol=1e-5, atol=1e-6)
