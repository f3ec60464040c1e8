"""A run in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import nn

from indian_torch import INDIAN, INNAprop, PowerDecayLR

from .networks import Layer, Weights
from .runs import Run

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # see `workers`
VERSIONS = f"torch {torch.__version__}"


class Trainer:
    """See `runs.Trainer`."""

    def __init__(
        self,
        run: Run,
        layers: Sequence[Layer],
        weights: Weights,
        images: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        torch.manual_seed(run.seed)  # for dropout
        self.model = network(layers, weights).to(DEVICE)
        self.optimizer = optimizer(run, self.model.parameters())
        self.scheduler = PowerDecayLR(self.optimizer, power=run.power)
        self.images, self.labels = (
            channels_first(images).to(DEVICE),
            torch.from_numpy(labels).to(DEVICE),
        )

    def train(self, batches: np.ndarray, on_step: Callable[[], None]) -> None:
        self.model.train()
        for batch in torch.from_numpy(batches).to(DEVICE):
            self.optimizer.zero_grad()
            logits = self.model(self.images[batch])
            nn.functional.cross_entropy(logits, self.labels[batch]).backward()
            self.optimizer.step()
            self.scheduler.step()
            on_step()

    @torch.no_grad()
    def logits(self, images: np.ndarray) -> np.ndarray:
        self.model.eval()
        return self.model(channels_first(images).to(DEVICE)).cpu().numpy()


def optimizer(run: Run, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    h = run.hyperparameters
    match run.rule:
        case "indian":
            return INDIAN(
                parameters,
                lr=run.lr,
                alpha=h["alpha"],
                beta=h["beta"],
                initial_speed=h["initial_speed"],
            )
        case "indian from_sgd":
            return INDIAN.from_sgd(parameters, run.lr, h["momentum"], damping=h["damping"])
        case "innaprop from_adam":
            betas, decay = (h["beta_1"], h["beta_2"]), h["weight_decay"]
            return INNAprop.from_adam(
                parameters, run.lr, betas, h["epsilon"], decay, damping=h["damping"]
            )
        case "sgd" | "nesterov":
            nesterov = run.rule == "nesterov"
            return torch.optim.SGD(parameters, run.lr, h["momentum"], nesterov=nesterov)
        case "adam":
            betas = (h["beta_1"], h["beta_2"])
            return torch.optim.Adam(parameters, lr=run.lr, betas=betas, eps=h["epsilon"])
        case "adamw":
            betas, decay = (h["beta_1"], h["beta_2"]), h["weight_decay"]
            return torch.optim.AdamW(parameters, run.lr, betas, h["epsilon"], weight_decay=decay)
        case "adagrad":
            return torch.optim.Adagrad(
                parameters,
                lr=run.lr,
                initial_accumulator_value=h["initial_accumulator_value"],
                eps=h["epsilon"],
            )
    raise ValueError(f"Invalid rule: {run.rule!r}")


def network(layers: Sequence[Layer], weights: Weights) -> nn.Sequential:
    """Return the network in PyTorch's own layout, channels before height and width."""
    modules: list[nn.Module] = []
    remaining = iter(weights)
    for layer in layers:
        match layer.kind:
            case "pad-to":
                (above, below), (left, right) = layer.padding
                modules.append(nn.ZeroPad2d((left, right, above, below)))
            case "conv" | "valid-conv":
                filters, size = layer.numbers
                padding = "same" if layer.kind == "conv" else "valid"
                module = nn.Conv2d(layer.input_shape[-1], filters, size, padding=padding)
                kernel, bias = next(remaining)
                _fill(module, kernel.transpose(3, 2, 0, 1), bias)
                modules.append(module)
            case "dropout":
                modules.append(nn.Dropout(layer.numbers[0] / 100))
            case "relu":
                modules.append(nn.ReLU())
            case "tanh":
                modules.append(nn.Tanh())
            case "max-pool":
                modules.append(nn.MaxPool2d(*layer.window))
            case "mean-pool":
                modules.append(nn.AvgPool2d(*layer.window))
            case "dense":
                kernel, bias = next(remaining)
                if len(layer.input_shape) == 3:
                    # The rows are in the order of flattened (height, width, channels).
                    kernel = kernel.reshape(*layer.input_shape, -1).transpose(2, 0, 1, 3)
                    kernel = kernel.reshape(-1, kernel.shape[-1])
                    modules.append(nn.Flatten())
                linear = nn.Linear(*kernel.shape)
                _fill(linear, kernel.T, bias)
                modules.append(linear)
    return nn.Sequential(*modules)


def _fill(module: nn.Conv2d | nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight.copy()))
        module.bias.copy_(torch.from_numpy(bias))


def channels_first(images: np.ndarray) -> torch.Tensor:
    """Return images in PyTorch's layout."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
