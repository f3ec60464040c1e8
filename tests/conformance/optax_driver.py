"""The optax adapter as the conformance suite sees it."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import METHODS
from indian_core.testing import Arrays, Problem, Settings
from indian_optax import (
    damped_adamw,
    damped_sgd,
    energy,
    indian,
    innaprop,
    psi,
    suggest_lr,
    with_psi,
)
from tests.x64 import enable_x64


@functools.cache
def _gradient(problem: Problem) -> Any:
    return jax.jit(jax.grad(lambda params, batch: problem.loss(params, batch, jnp)))


class OptaxDriver:
    """One optax run.

    The variants: "eager" and "jit" (its buffers donated) hand γ over as a number where it is
    constant, as users do, else as any function of the count; "scheduled" always as a schedule;
    "injected" hands γ, α, β and s over as arrays, by
    `optax.inject_hyperparams`, inside a chain.
    """

    methods: ClassVar[Mapping[str, Any]] = {
        "INDIAN": indian,
        "INNAprop": innaprop,
        "DampedSGD": damped_sgd,
        "DampedAdamW": damped_adamw,
    }
    has_no_sgd_decay: ClassVar[bool] = True
    variants: ClassVar[tuple[str, ...]] = ("eager", "jit", "scheduled", "injected")
    slow_variants: ClassVar[tuple[str, ...]] = ("eager", "scheduled")
    own_states: ClassVar[tuple[str, ...]] = ("injected",)  # which no other variant can take

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        self._settings, self._variant, self._k = settings, variant, 0
        self._numbers = dict(settings.hyperparameters)
        optimizer = self._made()
        self._x64 = dtype == "float64"
        with self._precision():
            self._params = [jnp.array(x, dtype) for x in theta_0]
            self._state = optimizer.init(self._params)

    def _made(self) -> optax.GradientTransformation:
        """Make the optimizer, and its step, with the present numbers."""
        arguments = _Arguments(lrs=self._settings.lrs, numbers=self._numbers)
        optimizer, self._update = _compiled(self._settings.method, arguments, self._variant)
        return optimizer

    def _advance(self, gradients: Any) -> None:
        if self._k in self._settings.edits:
            self._numbers |= self._settings.edits[self._k]
            optimizer = self._made()  # The state goes on.
            if self._variant == "injected":
                outer, injected = self._state
                made = optimizer.init(self._params)[1]
                numbers = made.hyperparams | {
                    "learning_rate": injected.hyperparams["learning_rate"]
                }
                self._state = (outer, injected._replace(hyperparams=numbers))
        self._params, self._state = self._update(self._params, self._state, gradients)
        self._k += 1

    @staticmethod
    def suggest_lr(problem: Problem, theta_0: Sequence[np.ndarray], **arguments: float) -> Any:
        with enable_x64(True):
            batch = [jnp.array(x) for x in problem.batch(0)]
            params = [jnp.array(x) for x in theta_0]
            return suggest_lr(lambda p: problem.loss(p, batch, jnp), params, **arguments)

    def _precision(self) -> Any:
        return enable_x64(self._x64)

    def step(self, gradients: Sequence[np.ndarray]) -> Arrays:
        with self._precision():
            given = [jnp.array(g, p.dtype) for g, p in zip(gradients, self._params, strict=True)]
            self._advance(given)
            return [np.array(g, np.float64) for g in given]

    def step_on(self, problem: Problem, k: int) -> None:
        with self._precision():
            dtype = self._params[0].dtype
            batch = [jnp.array(x, dtype) for x in problem.batch(k)]
            gradients = _gradient(problem)(self._params, batch)
            self._advance(gradients)

    def theta(self) -> Arrays:
        return [np.array(p, np.float64) for p in self._params]

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        with self._precision():
            self._params = [jnp.array(x, p.dtype) for x, p in zip(theta, self._params, strict=True)]

    def momentum(self) -> Arrays:
        name = {"DampedSGD": "trace", "DampedAdamW": "momentum"}[self._settings.method]
        return [np.array(s, np.float64) for s in optax.tree.get(self._state, name)]

    def psi(self) -> Arrays:
        with self._precision():
            found = psi(self._state, self._params)
        return [np.array(y, np.float64) for y in found]

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        with self._precision():
            self._state = with_psi(self._state, self._params, list(psi))

    def energy(self, loss: float) -> float:
        with self._precision():
            return float(energy(self._state, loss))

    def save(self) -> bytes:
        return pickle.dumps((jax.device_get((self._params, self._state)), self._k))

    def load(self, checkpoint: bytes) -> None:
        with self._precision():
            arrays, self._k = pickle.loads(checkpoint)
            self._params, self._state = jax.tree.map(jnp.array, arrays)
        for k, numbers in self._settings.edits.items():
            if k < self._k:
                self._numbers |= numbers
        self._made()


class _Arguments(dict[str, Any]):
    """Arguments that can be hashed whatever they are: a bad value may be a list."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


# optax's names.
NAMES = {"beta_1": "b1", "beta_2": "b2"}


@functools.cache  # Runs with the same settings share their compiled step.
def _compiled(
    name: str, arguments: _Arguments, variant: str
) -> tuple[optax.GradientTransformation, Callable[..., Any]]:
    method, lrs = OptaxDriver.methods[name], arguments["lrs"]
    numbers = {NAMES.get(key, key): value for key, value in arguments["numbers"].items()}

    def schedule(count: Any) -> Any:
        return jnp.asarray(lrs)[count]

    learning_rate: Any = schedule
    if variant in ("eager", "jit") and len(set(map(repr, lrs))) == 1:
        learning_rate = lrs[0]
    if variant == "injected":
        if METHODS[name].law == "momentum" and numbers.get("damping", 0) is None:
            del numbers["damping"]
        optimizer = optax.chain(
            optax.identity(), optax.inject_hyperparams(method)(learning_rate, **numbers)
        )
    else:
        optimizer = method(learning_rate, **numbers)
    return optimizer, _step_of(optimizer, jitted=variant != "eager")


def _step_of(optimizer: optax.GradientTransformation, *, jitted: bool) -> Callable[..., Any]:
    def update(params: Any, state: Any, gradients: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(update, donate_argnums=(0, 1)) if jitted else update
