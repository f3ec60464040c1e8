"""The conformance driver of `indian_torch`."""

from __future__ import annotations

import importlib
import io
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from indian_core.testing import Arrays, Problem, Settings
from indian_torch import INDIAN, DampedAdamW, DampedSGD, INNAprop, suggest_lr

_IMPLEMENTATIONS: dict[str, dict[str, Any]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "capturable": {"capturable": True},
    "capturable foreach": {"capturable": True, "foreach": True},
}
_OPTIONS: dict[str, dict[str, Any]] = _IMPLEMENTATIONS | {"compiled": {}}
_ON_GPU = " on a GPU"
if torch.cuda.is_available():
    _OPTIONS |= {name + _ON_GPU: options for name, options in _IMPLEMENTATIONS.items()}


def inductor() -> str:
    """Return the backend to compile with: Inductor, if there is a C++ compiler for its code."""
    # Without a C++ compiler for its code, what comes before it can be tested all the same.
    if not any(map(shutil.which, ("g++", "clang++", "cl"))):
        return "aot_eager"
    # Its first import runs into deprecation warnings of PyTorch's own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._inductor.compile_fx")
    return "inductor"


def _as_arrays(tensors: Sequence[torch.Tensor]) -> Arrays:
    return [tensor.detach().cpu().to(torch.float64).numpy().copy() for tensor in tensors]


def _in_torch(numbers: Mapping[str, Any], betas: Any = (0.9, 0.999)) -> dict[str, Any]:
    """Return hyperparameters by their names in PyTorch."""
    named = dict(numbers)
    given = [named.pop(name, None) for name in ("beta_1", "beta_2")]
    if given != [None, None]:
        named["betas"] = tuple(
            old if new is None else new for new, old in zip(given, betas, strict=True)
        )
    return named


class TorchDriver:
    """One run of `indian_torch`; γ_k is set as an LR scheduler sets it."""

    methods: ClassVar[Mapping[str, Any]] = {
        "INDIAN": INDIAN,
        "INNAprop": INNAprop,
        "DampedSGD": DampedSGD,
        "DampedAdamW": DampedAdamW,
    }
    variants: ClassVar[tuple[str, ...]] = tuple(_OPTIONS)
    slow_variants: ClassVar[tuple[str, ...]] = ("compiled",)

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        self._dtype = getattr(torch, dtype)
        self._device = "cuda" if variant.endswith(_ON_GPU) else "cpu"
        self._settings = settings
        self._options = _OPTIONS[variant]
        self._k = 0
        self._params = [torch.nn.Parameter(self._tensor(array)) for array in theta_0]
        # The dtype of a Tensor lr is the user's: float64 keeps every digit of γ_k.
        lr: Any = settings.lrs[0]
        if variant == "compiled":
            lr = torch.tensor(lr, dtype=torch.float64)
        self._optimizer = self.methods[settings.method](
            self._params, lr=lr, **_in_torch(settings.hyperparameters), **self._options
        )
        self._step: Callable[[], Any] = self._optimizer.step
        if variant == "compiled":
            # A run's programs only: past a number of them, Dynamo would go on without compiling.
            torch.compiler.reset()
            self._step = torch.compile(self._optimizer.step, backend=inductor())

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=self._dtype, device=self._device)

    @staticmethod
    def suggest_lr(problem: Problem, theta_0: Sequence[np.ndarray], **arguments: float) -> Any:
        params = [torch.tensor(array, requires_grad=True) for array in theta_0]
        batch = [torch.tensor(array) for array in problem.batch(0)]
        return suggest_lr(lambda: problem.loss(params, batch, torch), params, **arguments)

    def step(self, gradients: Sequence[np.ndarray]) -> Arrays:
        for param, gradient in zip(self._params, gradients, strict=True):
            param.grad = self._tensor(gradient)
        self._advance()
        return _as_arrays([param.grad for param in self._params])

    def step_on(self, problem: Problem, k: int) -> None:
        for param in self._params:
            param.grad = None
        batch = [self._tensor(array) for array in problem.batch(k)]
        problem.loss(self._params, batch, torch).backward()
        self._advance()

    def _advance(self) -> None:
        (group,) = self._optimizer.param_groups
        group.update(_in_torch(self._settings.edits.get(self._k, {}), group.get("betas")))
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(self._settings.lrs[self._k])
        else:
            group["lr"] = self._settings.lrs[self._k]
        self._step()
        self._k += 1

    def theta(self) -> Arrays:
        return _as_arrays(self._params)

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        with torch.no_grad():
            for param, array in zip(self._params, theta, strict=True):
                param.copy_(self._tensor(array))

    def momentum(self) -> Arrays:
        (group,) = self._optimizer.param_groups
        states = [self._optimizer.state[param] for param in self._params]
        return [
            momentum / group["buffer_scale"]
            for momentum in _as_arrays([state["momentum_buffer"] for state in states])
        ]

    def psi(self) -> Arrays:
        return _as_arrays([self._optimizer.psi(param) for param in self._params])

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        for param, array in zip(self._params, psi, strict=True):
            self._optimizer.set_psi(param, self._tensor(array))

    def energy(self, loss: float) -> float:
        return float(self._optimizer.energy(loss))

    def save(self) -> bytes:
        file = io.BytesIO()
        checkpoint = {
            "theta": [param.detach() for param in self._params],
            "optimizer": self._optimizer.state_dict(),
            "k": self._k,
        }
        torch.save(checkpoint, file)
        return file.getvalue()

    def load(self, checkpoint: bytes) -> None:
        loaded = torch.load(io.BytesIO(checkpoint), weights_only=True)
        self.set_theta(_as_arrays(loaded["theta"]))
        self._optimizer.load_state_dict(loaded["optimizer"])
        # The implementation is this run's own, whichever saved.
        kept = {"foreach": None, "fused": None, "capturable": False} | self._options
        self._optimizer.param_groups[0].update(kept)
        self._k = loaded["k"]
