"""`indian_mlx` under the conformance suite."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

import indian_mlx
from indian_core.testing import Arrays, Problem, Settings


class _Precise:
    """MLX's functions, but for exp, which has float32's digits in float64 too (0.32, CPU)."""

    def __getattr__(self, name: str) -> Any:
        return getattr(mx, name)

    def exp(self, x: mx.array) -> mx.array:
        half = mx.tanh(x / 2)
        return (1 + half) / (1 - half)


_PRECISE = _Precise()


def _arrays(tensors: Sequence[mx.array]) -> Arrays:
    return [np.array(tensor, np.float64) for tensor in tensors]


class MlxDriver:
    """One run of `indian_mlx`: a list of parameters, γ_k assigned before each step."""

    methods: ClassVar[Mapping[str, Any]] = {
        "INDIAN": indian_mlx.INDIAN,
        "INNAprop": indian_mlx.INNAprop,
        "DampedSGD": indian_mlx.DampedSGD,
        "DampedAdamW": indian_mlx.DampedAdamW,
    }
    variants: ClassVar[tuple[str, ...]] = ("eager", "compiled")
    slow_variants: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        make = self.methods[settings.method]
        self._settings, self._variant, self._k = settings, variant, 0
        numbers = dict(settings.hyperparameters)
        if settings.method == "DampedAdamW":
            numbers["betas"] = numbers.pop("beta_1", 0.9), numbers.pop("beta_2", 0.999)
        self._optimizer = make(settings.lrs[0], **numbers)
        self._params = {str(i): mx.array(t, getattr(mx, dtype)) for i, t in enumerate(theta_0)}
        self._optimizer.init(self._params)
        self._compile()

    def _compile(self) -> None:
        self._step: Callable[..., Any] = self._optimizer.apply_gradients
        if self._variant == "compiled":
            state = self._optimizer.state
            self._step = mx.compile(self._optimizer.apply_gradients, inputs=state, outputs=state)

    @staticmethod
    def suggest_lr(problem: Problem, theta_0: Sequence[np.ndarray], **arguments: float) -> Any:
        batch = [mx.array(array, mx.float64) for array in problem.batch(0)]
        params = [mx.array(theta, mx.float64) for theta in theta_0]
        return indian_mlx.suggest_lr(
            lambda p: problem.loss(p, batch, _PRECISE), params, **arguments
        )

    def step(self, gradients: Sequence[np.ndarray]) -> Arrays:
        pairs = zip(self._params.items(), gradients, strict=True)
        native = {key: mx.array(v, theta.dtype) for (key, theta), v in pairs}
        self._advance(native)
        return _arrays(list(native.values()))

    def step_on(self, problem: Problem, k: int) -> None:
        dtype = self._params["0"].dtype
        batch = [mx.array(array, dtype) for array in problem.batch(k)]
        loss = mx.grad(lambda params: problem.loss(list(params.values()), batch, _PRECISE))
        self._advance(loss(self._params))

    def _advance(self, gradients: Any) -> None:
        self._optimizer.learning_rate = self._settings.lrs[self._k]
        if self._k in self._settings.edits:
            self._edit(self._settings.edits[self._k])
            self._compile()
        self._params = self._step(gradients, self._params)
        mx.eval(self._params, self._optimizer.state)
        self._k += 1

    def _edit(self, numbers: Mapping[str, Any]) -> None:
        for name, value in numbers.items():
            if name == "beta_1":
                name, value = "betas", (value, self._optimizer.betas[1])
            setattr(self._optimizer, name, value)

    def theta(self) -> Arrays:
        return _arrays(list(self._params.values()))

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        pairs = zip(self._params.items(), theta, strict=True)
        self._params = {key: mx.array(value, old.dtype) for (key, old), value in pairs}

    def momentum(self) -> Arrays:
        return _arrays([self._optimizer.state[name]["momentum"] for name in self._params])

    def psi(self) -> Arrays:
        return _arrays(list(self._optimizer.psi(self._params).values()))

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        pairs = zip(self._params.items(), psi, strict=True)
        self._optimizer.set_psi(
            self._params, {key: mx.array(value, theta.dtype) for (key, theta), value in pairs}
        )

    def energy(self, loss: float) -> float:
        return float(self._optimizer.energy(self._params, loss))

    def save(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.npz"
            parts = {"theta": self._params, "state": self._optimizer.state}
            mx.savez(str(path), k=mx.array(self._k), **dict(tree_flatten(parts)))
            return path.read_bytes()

    def load(self, checkpoint: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.npz"
            path.write_bytes(checkpoint)
            tensors = mx.load(str(path))
            mx.eval(tensors)
        parts = tree_unflatten(list(tensors.items()))
        # Keys that are numbers become places of a list.
        self._params = {str(i): theta for i, theta in enumerate(parts["theta"])}
        self._optimizer.state.update(parts["state"])
        self._k = int(parts["k"])
        # Attributes are no part of MLX's states.
        for k, numbers in self._settings.edits.items():
            if k < self._k:
                self._edit(numbers)
