"""Measurements for docs/suggest-tables.md: suggestions, safety, curvature, and the recipes.

    python -m benchmarks.tuning --fashion FOLDER    # measure (about a quarter of an hour), draw
    python -m benchmarks.tuning                     # only tables and pictures

FOLDER holds Fashion-MNIST's four IDX files, of which the first 10,000 training and 2,000 test
images are used. The other data are scikit-learn's digits. Everything runs in PyTorch in float32 on
one thread, from He et al.'s initial weights. Losses are training losses: the mean cross-entropy
over all training images after the last epoch.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.harness import command, data, files, networks, on_torch
from benchmarks.harness.runs import Run, train
from benchmarks.tuning import picture, tables
from indian_core import ALPHA, BETA
from indian_core.tuning import SAFETY, StepSize, from_curvature
from indian_torch import INDIAN, suggest_lr

TRAIN, TEST = 10_000, 2_000
SAMPLES = 1_000  # for the curvature
BATCH = 32
# The paper's four pairs (section 5.2.2), and the default.
DAMPINGS = ((0.5, 0.1), (0.1, 0.1), (0.5, 0.5), (0.5, 1.0), (ALPHA, BETA))
PARTS = (1 / 8, 1 / 4, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
Rows = Iterator[dict[str, Any]]


class Problem(NamedTuple):
    """A network, its data, and the epochs and seeds of its training."""

    name: str
    dataset: data.Dataset
    network: tuple[str, ...]
    epochs: int
    seeds: tuple[int, ...]

    def start(self, seed: int) -> tuple[nn.Module, Callable[[], Tensor]]:
        """Return the network with its initial weights, and its loss over the samples."""
        images = self.dataset.train_images
        layers = networks.layers(self.network, images.shape[1:], self.dataset.classes)
        model = on_torch.network(layers, networks.initial_weights(layers, seed))
        return model, self.loss(model, slice(SAMPLES))

    def loss(self, model: nn.Module, which: Any) -> Callable[[], Tensor]:
        images = on_torch.channels_first(self.dataset.train_images[which])
        labels = torch.from_numpy(self.dataset.train_labels[which])
        return lambda: nn.functional.cross_entropy(model(images), labels)

    def suggested(self, seed: int, alpha: float = 0.5, beta: float = 0.1) -> StepSize:
        model, whole = self.start(seed)
        return suggest_lr(whole, model.parameters(), alpha, beta)

    def trained(self, seed: int, lr: float, **rule: float) -> dict[str, float]:
        """Return the losses of a run at its end; NaN, and an accuracy of 0.1, if it diverged."""
        run = Run(
            framework="torch",
            optimizer="",
            rule="indian",
            hyperparameters=rule,
            lr=lr,
            power=0.0,
            network=self.network,
            batch_size=BATCH,
            epochs=self.epochs,
            seed=seed,
        )
        *_, (last,) = train([run], self.dataset, on_torch.Trainer)
        return {"train_loss": last.train_loss, "test_accuracy": last.test_accuracy}


def problems(folder: str) -> list[Problem]:
    dense = ("dense 64", "relu", "dense classes")
    small = ("conv 16 3", "relu", "max-pool 2", "conv 32 3", "relu", "max-pool 2", "dense classes")
    large = ("conv 8 5", "relu", "max-pool 4", "conv 16 3", "relu", "max-pool 2", "dense classes")
    digits, whole = data.load(), data.load(folder)
    part = data.Dataset(
        "Fashion-MNIST",
        whole.train_images[:TRAIN],
        whole.train_labels[:TRAIN],
        whole.test_images[:TEST],
        whole.test_labels[:TEST],
    )
    return [
        Problem("digits, MLP", digits, dense, epochs=10, seeds=(0, 1)),
        Problem("digits, CNN", digits, small, epochs=6, seeds=(0, 1)),
        Problem("Fashion-MNIST, MLP", part, dense, epochs=3, seeds=(0,)),
        Problem("Fashion-MNIST, CNN", part, large, epochs=2, seeds=(0,)),
    ]


def suggestions(problem: Problem) -> Rows:
    """Yield runs at fractions of the limit: the suggestion at each safety, and a grid around it."""
    for seed in problem.seeds:
        curvature = problem.suggested(seed).curvature
        for alpha, beta in DAMPINGS:
            for part in PARTS:
                found = from_curvature(curvature, alpha, beta, part)
                rule = {"alpha": alpha, "beta": beta, "initial_speed": found.initial_speed}
                head = rule | {"seed": seed, "curvature": curvature, "limit": found.limit}
                yield head | {"part": part} | problem.trained(seed, found.lr, **rule)


def curvatures(problem: Problem, alpha: float = 0.5, beta: float = 0.1) -> Rows:
    """Yield the curvatures of the loss and of minibatches during training as suggested."""
    found = problem.suggested(0, alpha, beta)
    model, whole = problem.start(seed=0)
    optimizer = INDIAN(model.parameters(), found.lr, alpha, beta, found.initial_speed)
    samples = len(problem.dataset.train_labels)
    look = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    epochs = range(1, 2 + max(look) * BATCH // samples)
    steps = (b for e in epochs for b in data.minibatches(samples, BATCH, seed=0, epoch=e))
    eight = [problem.loss(model, slice(i, i + BATCH)) for i in range(0, 8 * BATCH, BATCH)]

    def of(loss: Callable[[], Tensor]) -> float:
        return suggest_lr(loss, model.parameters(), alpha, beta).curvature

    for k, batch in zip(range(max(look) + 1), steps, strict=False):
        if k in look:
            yield {"step": k, "whole": of(whole), "minibatches": [of(one) for one in eight]}
        optimizer.zero_grad()
        problem.loss(model, batch)().backward()
        optimizer.step()


def first_steps(problem: Problem, alpha: float = 0.5, beta: float = 0.1) -> Rows:
    """Yield the losses from the paper's start and from rest, at the same suggested step size."""
    for seed in problem.seeds:
        found = problem.suggested(seed, alpha, beta)
        for speed in (1.0, beta):
            model, whole = problem.start(seed)
            optimizer = INDIAN(model.parameters(), found.lr, alpha, beta, speed)
            before = whole()
            before.backward()
            optimizer.step()
            rule = {"alpha": alpha, "beta": beta, "initial_speed": speed}
            yield {
                "seed": seed,
                "lr_times_curvature": found.lr * found.curvature,
                "suggested_speed": found.initial_speed,
                "initial_speed": speed,
                "loss_before": before.item(),
                "loss_after_one_step": whole().item(),
                "train_loss": problem.trained(seed, found.lr, **rule)["train_loss"],
            }


# Runs whose loss oscillates or does not fall, each for another cause, and one as suggested. "part"
# is γ as a fraction of the limit.
TRACES = (
    {"label": "as suggested", "alpha": 0.5, "beta": 0.1, "part": SAFETY},
    {"label": "too little damping", "alpha": 0.02, "beta": 0.05, "part": SAFETY},
    {"label": "too large a step", "alpha": 0.5, "beta": 0.1, "part": 4.0},
    {"label": "too small a step", "alpha": 0.5, "beta": 0.1, "part": SAFETY / 16},
    {"label": "too much damping", "alpha": 8.0, "beta": 0.1, "part": SAFETY},
)


def traces(problem: Problem, steps: int = 600) -> Rows:
    """Yield loss and energy over the steps with the gradient of the whole loss."""
    curvature = problem.suggested(0).curvature
    for trace in TRACES:
        model, whole = problem.start(seed=0)
        alpha, beta = trace["alpha"], trace["beta"]
        found = from_curvature(curvature, alpha, beta, trace["part"])
        optimizer = INDIAN(model.parameters(), found.lr, alpha, beta, initial_speed=beta)
        losses, energies = [], []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = whole()
            loss.backward()
            losses.append(loss.item())
            energies.append(optimizer.energy(loss).item())
            optimizer.step()
        yield trace | {"lr": found.lr, "loss": losses[::2], "energy": energies[::2]}


def measured(folder: str) -> dict[str, Any]:
    """Return the content of tuning.json."""
    every = problems(folder)
    content: dict[str, Any] = {"software": f"{on_torch.VERSIONS}, {platform.machine()}, one thread"}
    for study in (suggestions, curvatures, first_steps, traces):
        content[study.__name__] = []
        for problem in every[:1] if study is traces else every:
            rows = [{"problem": problem.name} | row for row in study(problem)]
            content[study.__name__] += files.rounded(rows, 5)
            print(f"{study.__name__}: {problem.name}", flush=True)
    return content


@command.in_words()
def main() -> None:
    parser = command.parser("tuning", __doc__)
    parser.add_argument("--fashion", metavar="FOLDER", help="measure; Fashion-MNIST's IDX files")
    options = parser.parse_args()
    path = options.output / "tuning.json"
    if options.fashion is not None:
        torch.set_num_threads(1)
        files.write(path, measured(options.fashion))
    content = json.loads(path.read_text())
    print(*tables.every(content).values(), sep="\n\n")
    for name, figure in picture.every(content).items():
        files.save(figure, path.with_name(f"tuning-{name}.png"))


if __name__ == "__main__":
    main()
