"""Both forms in PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness import on_torch
from benchmarks.harness.networks import Layer, Weights
from indian_core import phase_space
from indian_torch import INDIAN, PowerDecayLR

from . import Rule, Variant

VERSIONS = on_torch.VERSIONS


class PhaseSpace(torch.optim.Optimizer):
    """Equation (11) of the paper, letter for letter, with ψ in a dtype of its own."""

    def __init__(self, params: Iterable[Tensor], rule: Rule, dtype: torch.dtype) -> None:
        super().__init__(params, {"lr": rule.lr, "rule": rule, "dtype": dtype})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for param in group["params"]:
                self._step(param, self.state[param], **group)

    def _step(
        self,
        param: Tensor,
        state: dict[str, Tensor],
        lr: float,
        rule: Rule,
        dtype: torch.dtype,
        **_: object,
    ) -> None:
        precision = torch.promote_types(torch.promote_types(param.dtype, dtype), torch.float32)
        theta, v = param.to(precision), param.grad.to(precision)
        if not state:
            psi = phase_space.initial_psi(theta, v, rule.alpha, rule.beta, rule.initial_speed)
            state["psi"] = psi.to(dtype)
        psi = state["psi"].to(precision)
        theta, psi = phase_space.step(theta, psi, v, lr, rule.alpha, rule.beta)
        param.copy_(theta)
        state["psi"].copy_(psi)


class Training:
    """See `forms.Training`."""

    def __init__(
        self,
        variant: Variant,
        rule: Rule,
        layers: Sequence[Layer],
        weights: Weights,
        images: np.ndarray,
        labels: np.ndarray,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        dtype, state = getattr(torch, variant.parameters), getattr(torch, variant.state)
        self._model = on_torch.network(layers, weights).to(dtype)
        self._images, self._labels = (
            on_torch.channels_first(images).to(dtype),
            torch.from_numpy(labels),
        )
        self._optimizer: torch.optim.Optimizer
        if variant.form == "psi":
            self._optimizer = PhaseSpace(self._model.parameters(), rule, state)
        else:
            self._optimizer = INDIAN(
                self._model.parameters(),
                rule.lr,
                rule.alpha,
                rule.beta,
                rule.initial_speed,
                momentum_dtype=state,
                stochastic_rounding=variant.stochastic_rounding,
            )
        self._scheduler = PowerDecayLR(self._optimizer, power=rule.power)

    def train(self, batches: np.ndarray) -> None:
        for batch in torch.from_numpy(batches):
            self._optimizer.zero_grad()
            logits = self._model(self._images[batch])
            nn.functional.cross_entropy(logits, self._labels[batch]).backward()
            self._optimizer.step()
            self._scheduler.step()

    def coast(self, steps: int) -> None:
        for param in self._model.parameters():
            param.grad = torch.zeros_like(param)
        for _ in range(steps):
            self._optimizer.step()
            self._scheduler.step()

    @property
    def theta(self) -> np.ndarray:
        return nn.utils.parameters_to_vector(self._model.parameters()).detach().double().numpy()

    @theta.setter
    @torch.no_grad()
    def theta(self, theta: np.ndarray) -> None:
        params = list(self._model.parameters())
        parts = torch.from_numpy(theta).split([param.numel() for param in params])
        for param, part in zip(params, parts, strict=True):
            param.copy_(part.view_as(param))

    @torch.no_grad()
    def logits(self, images: np.ndarray) -> np.ndarray:
        return copy.deepcopy(self._model).double()(on_torch.channels_first(images).double()).numpy()
