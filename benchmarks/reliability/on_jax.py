"""indian_optax: the places that take inputs, and the runs of `drift` and `killed`."""

from __future__ import annotations

import functools
import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.harness import on_jax
from indian_optax import from_sgd, indian, power_decay, scale_by_indian, suggest_lr

from . import drift, killed
from .refusals import Trial, given
from .values import Value, general, usable

jax.config.update("jax_enable_x64", True)

VERSIONS = {"jax": jax.__version__, "optax": optax.__version__}
NAMES = ("learning_rate", "alpha", "beta", "initial_speed", "weight_decay", "reference_lr")
PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array(3.0)}


def trials() -> Iterator[Trial]:
    """Yield all inputs."""
    for value in general() + _arrays():
        for name in NAMES:
            for where, run in _PLACES.items():
                if where == "scale_by_indian" and name == "weight_decay":
                    continue
                # (optax itself converts the number to an array, and reports that it cannot.)
                if where == "inject_hyperparams" and "10**400" in value.label:
                    continue
                yield _trial(where, name, value, run)
        for name, run in _FUNCTIONS.items():
            yield _trial("functions", name, value, run)
    yield from _states()


def _arrays() -> list[Value]:
    def value(array: Any, number: float | None) -> Value:
        return Value(f"array {array!r}", array, number, exact=False)

    numbers = (0.3, 0.0, -0.3, math.nan, math.inf)
    return [
        *(value(jnp.array(x, kind), x) for x in numbers for kind in (jnp.float32, jnp.float64)),
        *(value(jnp.array(x), float(x)) for x in (1, -1)),
        *(value(jnp.array(x), None) for x in ([0.1], [0.1, 0.2], [], 1j, True)),
    ]


def _run(optimizer: Any, params: Any = PARAMS, state: Any = None) -> list[np.ndarray]:
    state = optimizer.init(params) if state is None else state
    gradients = jax.tree.map(lambda p: 0.3 * p, params)
    for _ in range(2):
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    return [np.asarray(p) for p in jax.tree.leaves(params)]


def _given(name: str, value: Any) -> dict[str, Any]:
    return {"learning_rate": 0.1} | {name: value}


def _injected(name: str, value: Any) -> Any:
    factory = optax.inject_hyperparams(indian, static_args=("mask", "accumulator_dtype"))
    return _run(factory(**_given(name, value)))


_PLACES: dict[str, Callable[[str, Any], Any]] = {
    "indian": lambda name, value: _run(indian(**_given(name, value))),
    "scale_by_indian": lambda name, value: _run(scale_by_indian(**_given(name, value))),
    "inject_hyperparams": _injected,
}


def _suggested(**arguments: Any) -> float:
    return suggest_lr(lambda theta: (theta**2).sum(), jnp.ones(2), **arguments).lr


_FUNCTIONS: dict[str, Callable[[str, Any], Any]] = {
    "init_value": lambda _, value: float(power_decay(value)(1)),
    "power": lambda _, value: float(power_decay(0.1, value)(1)),
    "safety": lambda _, value: _suggested(safety=value),
    "alpha": lambda _, value: _suggested(alpha=value),
    "beta": lambda _, value: _suggested(beta=value),
    "sgd_lr": lambda _, value: _run(from_sgd(value, 0.5)),
    "momentum": lambda _, value: _run(from_sgd(0.1, value)),
}


def _trial(where: str, name: str, value: Value, run: Callable[[str, Any], Any]) -> Trial:
    can: bool | None = usable(name, value.number)
    no_number = value.number is None
    optional = ("initial_speed", "reference_lr", "weight_decay", "momentum")
    if value.value is None and name in optional:
        can = None
    elif callable(value.value) and name in ("learning_rate", "sgd_lr", "weight_decay"):
        can = None  # a callable passes as a schedule, though it is hardly a good one
    elif where == "inject_hyperparams" and (no_number or not value.exact):
        can = None  # optax converts the value if it can, and passes an array
    elif can and where == "functions" and not value.exact:
        can = None  # an array, though only numbers need be accepted here
    elif can and abs(value.number or 0) > 1e200:
        can = None  # the run's results are not finite
    elif where == "inject_hyperparams":
        can = can or None  # the array may be traced, and then its value is unknown
    numbers = value.exact and can and where != "inject_hyperparams"
    expected = functools.partial(run, name, value.number) if numbers else None
    trial = given(where, name, value, functools.partial(run, name), can, expected=expected)
    return trial if can is not None else trial._replace(words=())


def _states() -> Iterator[Trial]:
    optimizer = indian(0.1, weight_decay=0.1)
    good = optimizer.init(PARAMS)
    other_params = [jnp.ones(3), PARAMS["a"], {"a": PARAMS["a"]}, {**PARAMS, "c": jnp.ones(1)}]
    other_params += [{"a": jnp.ones((2, 1)), "b": jnp.array(3.0)}, {"a": jnp.ones(1), "b": 1.0}]
    strangers = [
        *(o.init(PARAMS) for o in (optax.sgd(0.1, 0.9), optax.adam(0.1), optax.lion(0.1))),
        *(optax.chain(optax.clip(1.0), optimizer).init(PARAMS), (), {}, 1.0, "state"),
        *(optimizer.init(params) for params in other_params),
    ]
    strangers += [
        good._replace(**{field: bad})
        for field in good._fields
        for bad in (None, "x", [], {}, jnp.ones(7), {"a": None}, object())
    ]
    for state in strangers:
        yield Trial(
            "state", repr(state)[:60], functools.partial(_run, optimizer, PARAMS, state), False
        )
    for other in other_params:
        what, update = repr(other)[:60], functools.partial(optimizer.update, state=good)
        yield Trial("gradients", what, functools.partial(update, other, params=PARAMS), False)
        yield Trial("params", what, functools.partial(update, PARAMS, params=other), False)


def variants() -> dict[str, Callable[..., Any]]:
    """Return the implementations by name. Each starts a trajectory for `drift`."""
    injected = functools.partial(on_jax.Trajectory, optimizer=_with_injected_rate)
    return {"scheduled": on_jax.Trajectory, "injected": injected}


def _with_injected_rate(lr: Any, **hyperparameters: float) -> optax.GradientTransformation:
    dtype = getattr(lr, "dtype", None)
    factory = optax.inject_hyperparams(indian, hyperparam_dtype=dtype)
    optimizer = factory(drift.LOWEST, **hyperparameters)

    def update(gradients: Any, state: Any, params: Any) -> Any:
        hyperparams = state.hyperparams | {"learning_rate": lr}
        return optimizer.update(gradients, state._replace(hyperparams=hyperparams), params)

    return optax.GradientTransformation(optimizer.init, update)


def train(folder: Path, steps: int, announce: Callable[[], None]) -> bytes:
    """Train to the end, from the folder's checkpoint if it has one, and return the weights."""
    optimizer = indian(power_decay(0.2, 0.25), alpha=0.5, beta=0.3)
    first, second = jax.random.split(jax.random.key(0))
    params = {"w": jax.random.normal(first, (8, 16)) / 3, "v": jax.random.normal(second, (16, 1))}
    run = params, optimizer.init(params), np.asarray(0)
    path = folder / "checkpoint.pickle"
    if path.exists():
        run = jax.tree.map(jnp.asarray, pickle.loads(path.read_bytes()))

    @jax.jit
    def step(run: Any) -> Any:
        params, state, k = run
        x = jax.random.normal(jax.random.fold_in(jax.random.key(1), k), (32, 8))

        def loss(params: Any) -> Any:
            return jnp.square(jnp.tanh(x @ params["w"]) @ params["v"] - x.sum(1)[:, None]).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state, k + 1

    announce()
    while int(run[2]) < steps:
        run = step(run)
        if int(run[2]) % 7 == 0:
            saved = pickle.dumps(jax.device_get(run))
            killed.write(path, lambda file, saved=saved: file.write(saved))
    return b"".join(np.asarray(p).tobytes() for p in jax.tree.leaves(run[0]))
