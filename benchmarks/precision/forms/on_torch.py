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
        (group,) = self.param_groups
        rule, dtype = group["rule"], group["dtype"]
        for param in group["params"]:
            state = self.state[param]
            precision = torch.promote_types(torch.promote_types(param.dtype, dtype), torch.float32)
            theta, v = param.to(precision), param.grad.to(precision)
            if not state:
                psi = phase_space.initial_psi(theta, v, rule.alpha, rule.beta, rule.initial_speed)
                state["psi"] = psi.to(dtype)
            psi = state["psi"].to(precision)
            theta, psi = phase_space.step(theta, psi, v, group["lr"], rule.alpha, rule.beta)
            param.copy_(theta)
            state["psi"].copy_(psi)


class Training(on_torch.Trainer):
    """See `forms`."""

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
        self.model = on_torch.network(layers, weights).to(dtype)
        self.images = on_torch.channels_first(images).to(dtype)
        self.labels = torch.from_numpy(labels)
        params = self.model.parameters()
        if variant.form == "psi":
            self.optimizer = PhaseSpace(params, rule, state)
        else:
            self.optimizer = INDIAN(
                params,
                *(rule.lr, rule.alpha, rule.beta, rule.initial_speed),
                momentum_dtype=state,
                stochastic_rounding=variant.stochastic_rounding,
            )
        self.scheduler = PowerDecayLR(self.optimizer, power=rule.power)

    def train(self, batches: np.ndarray) -> None:
        super().train(batches[None])

    def coast(self, steps: int) -> None:
        for param in self.model.parameters():
            param.grad = torch.zeros_like(param)
        for _ in range(steps):
            self.optimizer.step()
            self.scheduler.step()

    @property
    def theta(self) -> np.ndarray:
        return nn.utils.parameters_to_vector(self.model.parameters()).detach().double().numpy()

    @theta.setter
    def theta(self, theta: np.ndarray) -> None:
        flat = torch.tensor(theta, dtype=self.images.dtype)
        nn.utils.vector_to_parameters(flat, self.model.parameters())

    @torch.no_grad()
    def logits(self, images: np.ndarray) -> np.ndarray:
        return copy.deepcopy(self.model).double()(on_torch.channels_first(images).double()).numpy()
