"""The methods under optax's wrappers and JAX's transformations.

Wherever a method is one of optax's, a wrapper must make of it what it makes of optax's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.test_util import check_grads
from optax import contrib

from indian_optax import damped_sgd, indian, innaprop, power_decay
from tests.on_optax.problem import (
    STEPS,
    assert_close,
    assert_same_bits,
    each_method,
    loss,
    run,
    start,
)
from tests.on_optax.test_identities import is_matrix, scale_by_rms_before_indian

Wrapper = Callable[[optax.GradientTransformation], optax.GradientTransformation]


def labels(params: Any) -> Any:
    return jax.tree.map(lambda p: "kernel" if p.ndim == 2 else "rest", params)


WRAPPERS: dict[str, Wrapper] = {
    "chain": lambda o: optax.chain(optax.clip_by_global_norm(0.1), o),
    "named_chain": lambda o: optax.named_chain(("clip", optax.clip(0.01)), ("step", o)),
    "masked": lambda o: optax.masked(o, is_matrix),
    "masked by a prefix": lambda o: optax.masked(o, {"layers": [True, False], "scale": True}),
    "partition": lambda o: optax.partition({"kernel": o, "rest": optax.sgd(0.1)}, labels),
    "MultiSteps": lambda o: optax.MultiSteps(o, 3).gradient_transformation(),
    "apply_if_finite": lambda o: optax.apply_if_finite(o, 2),
    "schedule_free": lambda o: contrib.schedule_free(o, 0.05, b1=0.9),
    "conditionally_transform": lambda o: optax.conditionally_transform(o, lambda k: k % 3 > 0),
    "flatten": optax.flatten,
    "frozen layers": lambda o: optax.chain(
        o, optax.masked(optax.set_to_zero(), {"layers": True, "scale": False})
    ),
}
RMS = (0.05, 0.5, 0.4, 0.9, 1e-3)
PAIRS = {
    "damped_sgd": (optax.sgd(0.05, 0.9), damped_sgd(0.05, 0.9)),
    "innaprop": (scale_by_rms_before_indian(*RMS), innaprop(*RMS, None)),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", WRAPPERS)
def test_wrapped_it_is_what_optax_s_own_is_wrapped(x64: None, name: str, pair: str) -> None:
    (expected, _), (actual, _) = (run(WRAPPERS[name](each), start()) for each in PAIRS[pair])
    # schedule_free divides by the sums of weights of its own.
    assert_close(actual, expected, 1e-11)


def test_the_first_step_is_the_first_applied_one(x64: None) -> None:
    """Accumulation and skipped steps do not use up the initial speed."""
    optimizer = indian(0.1, initial_speed=1.0)
    params, gradients = jnp.ones(2), jnp.array([1.0, -2.0])
    for wrapped in (
        optax.MultiSteps(optimizer, 2).gradient_transformation(),
        optax.apply_if_finite(optimizer, 5),
    ):
        state = wrapped.init(params)
        skipped = gradients if "mini_step" in state._fields else gradients * jnp.nan
        updates, state = wrapped.update(skipped, state, params)
        assert_same_bits(updates, jnp.zeros(2))
        updates, state = wrapped.update(gradients, state, params)
        assert_close(updates, -0.1 * gradients)


def test_injected_hyperparameters_follow_their_schedules(x64: None) -> None:
    def linear(first: float, last: float) -> Any:
        return optax.linear_schedule(first, last, 4)

    rates, alphas, betas = linear(0.2, 0.1), linear(0.5, 1.5), linear(0.1, 0.3)
    inject = optax.inject_hyperparams(indian)
    injected, _ = run(inject(rates, alphas, betas, weight_decay=0.1), start(), steps=range(4))
    params, state = start(), None
    for k in range(4):
        now = indian(float(rates(k)), float(alphas(k)), float(betas(k)), weight_decay=0.1)
        params, state = run(now, params, state, range(k, k + 1))
    # optax evaluates schedules in float32 or in float64 as their count is traced or not.
    assert_close(injected, params, tolerance=1e-5)


# The state.


def test_the_state_is_found_and_replaced_by_name() -> None:
    optimizer = optax.chain(optax.clip(1.0), indian(power_decay(0.1), weight_decay=0.1))
    _, state = run(optimizer, start())
    assert int(optax.tree.get(state, "count")) == STEPS
    momentum = optax.tree.get(state, "momentum")
    assert jax.tree.structure(momentum) == jax.tree.structure(start())
    rest = optax.tree.set(state, momentum=optax.tree.zeros_like(momentum))
    assert_close(optax.tree.get(rest, "momentum"), optax.tree.zeros_like(momentum))
    assert optax.tree.get(state, "IndianState") is not None


@each_method
def test_the_state_of_shapes_alone(make: Any) -> None:
    optimizer = make(power_decay(0.1))
    state = optimizer.init(start())
    of_shapes = jax.eval_shape(optimizer.init, jax.eval_shape(start))
    assert jax.tree.structure(of_shapes) == jax.tree.structure(state)
    for shape, leaf in zip(jax.tree.leaves(of_shapes), jax.tree.leaves(state), strict=True):
        assert (shape.shape, shape.dtype) == (leaf.shape, leaf.dtype)


@each_method
def test_the_state_does_not_alias_the_parameters(make: Any) -> None:
    """Both may be donated."""
    optimizer, params = make(0.1), start()
    step = jax.jit(lambda p, s: optimizer.update(p, s, p), donate_argnums=(0, 1), keep_unused=True)
    step(params, optimizer.init(params))


# JAX's transformations.


def test_vmap_over_hyperparameters(x64: None) -> None:
    def train(rate: Any, alpha: Any, beta: Any) -> Any:
        optimizer = indian(rate, alpha, beta, weight_decay=0.01)
        params, state = start(), optimizer.init(start())
        for k in range(3):
            updates, state = optimizer.update(jax.grad(loss)(params, k), state, params)
            params = optax.apply_updates(params, updates)
        return params

    values = [(0.1, 0.5, 0.1), (2.0, 0.5, 0.1), (0.3, 0.0, 1.0)]
    together = jax.jit(jax.vmap(train))(*map(jnp.array, zip(*values, strict=True)))
    for i, value in enumerate(values):
        alone, _ = run(indian(*value, weight_decay=0.01), start(), steps=range(3))
        assert_close(jax.tree.map(lambda x, i=i: x[i], together), alone)


@pytest.mark.parametrize("rate", [0.1, 2.0])
def test_gradient_through_training(x64: None, rate: float) -> None:
    """Meta-learning: d loss / d (γ, α, β, s) against central differences, at αγ = 1 too."""

    @jax.jit
    def final_loss(values: Any) -> jax.Array:
        optimizer = indian(*values)
        params = jnp.array([0.3, -0.2])
        state = optimizer.init(params)
        for _ in range(3):
            gradients = jnp.array([1.0, 0.1]) * jnp.sin(params)
            updates, state = optimizer.update(gradients, state)
            params = optax.apply_updates(params, updates)
        return jnp.sum(params**2)

    values = jnp.array([rate, 0.5, 0.1, 1.0])
    check_grads(final_loss, (values,), order=1, modes=["rev"], eps=1e-6, atol=1e-8, rtol=1e-6)


@each_method
def test_weak_types_cause_no_recompilation(make: Any) -> None:
    optimizer = optax.inject_hyperparams(make)(power_decay(0.1))

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        updates, state = optimizer.update(params, state, params)
        return optax.apply_updates(params, updates), state

    params = {"weak": jnp.asarray(1.0), "strong": jnp.ones(2)}
    assert params["weak"].weak_type
    state = optimizer.init(params)
    for _ in range(4):  # apply_updates itself makes the weak one strong
        params, state = step(params, state)
    assert step._cache_size() <= 2


@each_method
def test_extra_arguments_are_taken(make: Any) -> None:
    optimizer, params = make(0.1), jnp.ones(2)
    optimizer.update(params, optimizer.init(params), params, value=1.0, loss_fn=None)
