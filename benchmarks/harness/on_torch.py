"""A run in PyTorch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from indian_torch import INDIAN, DampedAdamW, DampedSGD, PowerDecayLR

from .networks import Layer, Weights
from .runs import Run

VERSIONS = f"torch {torch.__version__}"


class Trainer:
    """See `runs`."""

    def __init__(
        self,
        runs: Sequence[Run],
        layers: Sequence[Layer],
        weights: Sequence[Weights],
        images: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        (run,) = runs  # one at a time
        self.model = network(layers, *weights)
        self.optimizer = optimizer(run, self.model.parameters())
        self.scheduler = PowerDecayLR(self.optimizer, power=run.power)
        self.images, self.labels = channels_first(images), torch.from_numpy(labels)

    def train(self, batches: np.ndarray) -> None:
        for batch in torch.from_numpy(batches[0]):
            self.optimizer.zero_grad()
            logits = self.model(self.images[batch])
            nn.functional.cross_entropy(logits, self.labels[batch]).backward()
            self.optimizer.step()
            self.scheduler.step()

    @torch.no_grad()
    def logits(self, images: np.ndarray) -> np.ndarray:
        return self.model(channels_first(images)).numpy()[None]


class Trajectory:
    """See `runs`."""

    def __init__(
        self, start: np.ndarray, gradient: Callable[..., Any], hyperparameters: Mapping[str, float]
    ) -> None:
        self._gradient = gradient
        self._theta = nn.Parameter(torch.tensor(start))
        self._optimizer = INDIAN([self._theta], lr=1.0, **hyperparameters)

    def go_on(self, lrs: np.ndarray) -> np.ndarray:
        theta = self._theta.detach()
        for lr in lrs.tolist():
            self._theta.grad = self._gradient(torch, theta)
            self._optimizer.param_groups[0]["lr"] = lr
            self._optimizer.step()
        return theta.numpy().copy()


RULES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "indian": INDIAN,
    "damped sgd": DampedSGD,
    "damped adamw": DampedAdamW,
    "sgd": torch.optim.SGD,
    "nesterov": functools.partial(torch.optim.SGD, nesterov=True),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
}


def optimizer(run: Run, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the run's optimizer, its hyperparameters under PyTorch's names."""
    h: dict[str, Any] = dict(run.hyperparameters)
    if "beta_1" in h:
        h["betas"] = h.pop("beta_1"), h.pop("beta_2")
    if "epsilon" in h:
        h["eps"] = h.pop("epsilon")
    return RULES[run.rule](parameters, lr=run.lr, **h)


def network(layers: Sequence[Layer], weights: Weights) -> nn.Sequential:
    """Return the network in PyTorch's own layout: channels before height and width."""
    modules: list[nn.Module] = []
    remaining = iter(weights)
    for layer in layers:
        match layer.kind:
            case "conv" | "valid-conv":
                padding = "same" if layer.kind == "conv" else "valid"
                module = nn.Conv2d(layer.input_shape[-1], *layer.numbers, padding=padding)
                kernel, bias = next(remaining)
                modules.append(_filled(module, kernel.transpose(3, 2, 0, 1), bias))
            case "dense":
                kernel, bias = next(remaining)
                if len(layer.input_shape) == 3:
                    # The kernel's rows are in the order of flattened (height, width, channels).
                    kernel = kernel.reshape(*layer.input_shape, -1).transpose(2, 0, 1, 3)
                    kernel = kernel.reshape(-1, kernel.shape[-1])
                    modules.append(nn.Flatten())
                modules.append(_filled(nn.Linear(*kernel.shape), kernel.T, bias))
            case "max-pool" | "mean-pool":
                pool = nn.MaxPool2d if layer.kind == "max-pool" else nn.AvgPool2d
                modules.append(pool(*layer.numbers))
            case activation:
                modules.append({"relu": nn.ReLU, "tanh": nn.Tanh}[activation]())
    return nn.Sequential(*modules)


@torch.no_grad()
def _filled(module: Any, weight: np.ndarray, bias: np.ndarray) -> nn.Module:
    module.weight.copy_(torch.from_numpy(weight.copy()))
    module.bias.copy_(torch.from_numpy(bias))
    return module


def channels_first(images: np.ndarray) -> torch.Tensor:
    """Return images in PyTorch's layout."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
