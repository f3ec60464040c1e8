"""indian_keras on this process's backend: the places that take inputs, and two studies' runs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.harness import on_keras
from indian_keras import INDIAN, PowerDecay, suggest_lr

from . import killed
from .refusals import Trial, followed, given, mangled
from .values import Value, general, usable

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax

    jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")

VERSIONS = {"keras": keras.__version__, "backend": BACKEND}
RATES = ("learning_rate", "sgd_lr")
NAMES = ("learning_rate", "alpha", "beta", "initial_speed", "weight_decay", "reference_lr")


def trials() -> Iterator[Trial]:
    """Yield all inputs."""
    for value in general() + _tensors():
        for name in NAMES:
            for where, run in _PLACES.items():
                yield _trial(where, name, value, run)
            yield _in_mid_run(name, value)
        for name, run in _FUNCTIONS.items():
            yield _trial("functions", name, value, run)
    yield from _files()


def _tensors() -> list[Value]:
    def value(tensor: Any, number: float | None) -> Value:
        return Value(f"tensor {tensor!r}", tensor, number, exact=False)

    return [
        *(value(ops.convert_to_tensor(x), x) for x in (0.3, -0.3, math.nan, math.inf)),
        *(value(ops.convert_to_tensor(x), None) for x in ([0.1], [0.1, 0.2])),
    ]


def _variables() -> list[Any]:
    return [keras.Variable([1.0, -2.0], name="a"), keras.Variable(3.0, name="b")]


def _run(optimizer: INDIAN, variables: list[Any] | None = None) -> list[np.ndarray]:
    variables = _variables() if variables is None else variables
    for _ in range(2):
        optimizer.apply([ops.convert_to_tensor([-1.0, 0.5]), ops.convert_to_tensor(0.3)], variables)
    return _arrays(variables)


def _array(variable: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable))


def _arrays(variables: Iterable[Any]) -> list[np.ndarray]:
    return [_array(variable) for variable in variables]


def _from_config(name: str, value: Any) -> Any:
    return _run(INDIAN.from_config(INDIAN().get_config() | {name: value}))


_PLACES: dict[str, Callable[[str, Any], Any]] = {
    "constructor": lambda name, value: _run(INDIAN(**{name: value})),
    "from_config": _from_config,
}


def _suggested(**arguments: Any) -> float:
    theta = keras.Variable([1.0, 1.0])
    return suggest_lr(lambda: ops.sum(theta**2), [theta], **arguments).lr


_FUNCTIONS: dict[str, Callable[[str, Any], Any]] = {
    "initial_learning_rate": lambda _, value: float(PowerDecay(value)(1)),
    "power": lambda _, value: float(PowerDecay(0.1, value)(1)),
    "safety": lambda _, value: _suggested(safety=value),
    "sgd_lr": lambda _, value: _run(INDIAN.from_sgd(value, 0.5)),
    "momentum": lambda _, value: _run(INDIAN.from_sgd(0.1, value)),
}


def _can(name: str, value: Value, where: str) -> bool | None:
    can: bool | None = usable(name, value.number)
    optional = ("initial_speed", "reference_lr", "weight_decay", *RATES)
    if value.value is None and name in optional:
        return None
    if name in RATES and (callable(value.value) or isinstance(value.value, dict)):
        return None  # a callable or a dict passes as a schedule or its config, if a poor one
    if can and not value.exact:
        return True if name in RATES and where != "from_config" else None
    size = abs(value.number or 0)
    if can and (size > 1e200 or (name == "reference_lr" and size < 1e-200)):
        return None  # the run's results are not finite
    return can


def _trial(where: str, name: str, value: Value, run: Callable[[str, Any], Any]) -> Trial:
    can = _can(name, value, where)
    expected = functools.partial(run, name, value.number) if value.exact and can else None
    return _given(where, name, value, functools.partial(run, name), can, expected=expected)


def _given(where: str, name: str, value: Value, run: Any, can: Any, **others: Any) -> Trial:
    trial = given(where, name, value, run, can, **others)
    return trial if can is not None else trial._replace(words=())


def _in_mid_run(name: str, value: Value) -> Trial:
    optimizer, variables = INDIAN(weight_decay=0.1), _variables()
    _run(optimizer, variables)

    def attempt(given: Any) -> Any:
        setattr(optimizer, name, given)
        return _run(optimizer, variables)

    def watched() -> Any:
        # (The learning rate's variable is left out, because the trial itself sets it.)
        return _arrays(
            v for v in (*variables, *optimizer.variables) if v is not optimizer._learning_rate
        )

    can = _can(name, value, "in mid-run")
    return _given("in mid-run", name, value, attempt, can, watched=watched)


def _bad_entries(entry: Any) -> Iterator[tuple[str, Any]]:
    for other in (None, "x", 1j, [], {}, object(), np.array("x"), np.ones((7, 7)), np.array(1j)):
        yield repr(other), other
    if hasattr(entry, "shape"):
        yield "as strings", np.full(entry.shape, "x")
        yield "as objects", np.full(entry.shape, None)


def _files() -> Iterator[Trial]:
    def built() -> tuple[INDIAN, list[Any]]:
        optimizer, variables = INDIAN(), _variables()
        _run(optimizer, variables)
        return optimizer, variables

    optimizer, _ = built()
    good: dict[str, Any] = {}
    optimizer.save_own_variables(good)
    for what, store in mangled(good, _bad_entries):
        if not isinstance(store, dict) or set(store) != set(good):
            continue  # Keras warns of such a store, and loads nothing
        optimizer, variables = built()
        load = functools.partial(optimizer.load_own_variables, store)
        step = functools.partial(_run, optimizer, variables)
        yield Trial(
            "load_own_variables",
            what,
            functools.partial(followed, load, step),
            watched=functools.partial(_arrays, (*variables, *optimizer.variables)),
        )


def variants() -> dict[str, Callable[..., Any]]:
    """Return the implementations by name. Each starts a trajectory for `drift`."""
    return {"eager" if BACKEND == "torch" else "compiled": on_keras.Trajectory}


def train(folder: Path, steps: int, announce: Callable[[], None]) -> bytes:
    """Train to the end, from the folder's checkpoint if it has one, and return the weights."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(INDIAN(PowerDecay(0.2, 0.25), 0.5, 0.3), "mse")
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    path = folder / "checkpoint.weights.h5"
    if path.exists():
        model.load_weights(path)
    announce()
    for step in range(int(optimizer.iterations), steps):
        x = np.random.default_rng(step).standard_normal((32, 8))
        model.train_on_batch(x, x.sum(1, keepdims=True))
        if step % 7 == 0:
            part = folder / "part.weights.h5"
            model.save_weights(part)
            killed.write(path, lambda file, part=part: file.write(part.read_bytes()))
    return b"".join(_array(v).tobytes() for v in model.trainable_variables)
