"""The optax adapter as the conformance suite sees it."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core.testing import Arrays, Problem, Settings, scheduled
from indian_optax import (
    energy,
    from_sgd,
    indian,
    innaprop,
    innaprop_from_adam,
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

    methods: ClassVar[Mapping[str, Any]] = {"INDIAN": indian, "INNAprop": innaprop}
    variants: ClassVar[tuple[str, ...]] = ("eager", "jit", "scheduled", "injected")
    slow_variants: ClassVar[tuple[str, ...]] = ("eager",)

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        optimizer, update = _compiled(
            self.methods[settings.method], _Arguments(vars(settings)), variant
        )
        self._start(optimizer, update, theta_0, dtype)

    def _start(self, optimizer: Any, update: Any, theta_0: Any, dtype: str) -> None:
        self._update = update
        self._x64 = dtype == "float64"
        with self._precision():
            self._params = [jnp.array(x, dtype) for x in theta_0]
            self._state = optimizer.init(self._params)

    @classmethod
    def translated(
        cls, name: str, theta_0: Sequence[np.ndarray], arguments: Mapping[str, Any]
    ) -> Self:
        given, lrs = scheduled(arguments)
        given.pop("keep_momentum", None)  # (In optax it is always kept.)
        if lrs is not None:  # optax takes the schedule itself
            given["lr"] = lambda count: jnp.asarray(lrs)[count]
        if "betas" in given:
            given["b1"], given["b2"] = given.pop("betas")
        given["learning_rate"] = given.pop("lr")
        optimizer = {"from_sgd": from_sgd, "from_adam": innaprop_from_adam}[name](**given)
        run = cls.__new__(cls)
        run._start(optimizer, _step_of(optimizer, jitted=True), theta_0, "float64")
        return run

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
            self._params, self._state = self._update(self._params, self._state, given)
            return [np.array(g, np.float64) for g in given]

    def step_on(self, problem: Problem, k: int) -> None:
        with self._precision():
            dtype = self._params[0].dtype
            batch = [jnp.array(x, dtype) for x in problem.batch(k)]
            gradients = _gradient(problem)(self._params, batch)
            self._params, self._state = self._update(self._params, self._state, gradients)

    def theta(self) -> Arrays:
        return [np.array(p, np.float64) for p in self._params]

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        with self._precision():
            self._params = [jnp.array(x, p.dtype) for x, p in zip(theta, self._params, strict=True)]

    def psi(self) -> Arrays:
        with self._precision():
            found = psi(self._state, self._params)
        return [np.array(y, np.float64) for y in found]

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        with self._precision():
            self._state = with_psi(self._state, self._params, list(psi))

    def energy(self, loss: float) -> float:
        with self._precision():
            return float(energy.energy(self._state, loss))

    def save(self) -> bytes:
        return pickle.dumps(jax.device_get((self._params, self._state)))

    def load(self, checkpoint: bytes) -> None:
        with self._precision():
            self._params, self._state = jax.tree.map(jnp.array, pickle.loads(checkpoint))


class _Arguments(dict[str, Any]):
    """Arguments that can be hashed whatever they are: a bad value may be a list."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


@functools.cache  # Runs with the same settings share their compiled step.
def _compiled(
    method: Callable[..., optax.GradientTransformation], settings: _Arguments, variant: str
) -> tuple[optax.GradientTransformation, Callable[..., Any]]:
    lrs = settings["lrs"]

    def schedule(count: Any) -> Any:
        return jnp.asarray(lrs)[count]

    learning_rate: Any = schedule
    if variant in ("eager", "jit") and len(set(map(repr, lrs))) == 1:
        learning_rate = lrs[0]
    factory = optax.inject_hyperparams(method) if variant == "injected" else method
    optimizer = factory(learning_rate, **settings["hyperparameters"])
    if variant == "injected":
        optimizer = optax.chain(optax.identity(), optimizer)
    return optimizer, _step_of(optimizer, jitted=variant != "eager")


def _step_of(optimizer: optax.GradientTransformation, *, jitted: bool) -> Callable[..., Any]:
    def update(params: Any, state: Any, gradients: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(update, donate_argnums=(0, 1)) if jitted else update
