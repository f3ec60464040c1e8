"""Measurements for docs/suggest-tables.md: suggestions, safety, curvature, and the recipes.

    python -m benchmarks.tuning --fashion FOLDER    # measure (about a quarter of an hour), draw
    python -m benchmarks.tuning --draw              # only tables and pictures

FOLDER holds Fashion-MNIST's four IDX files, of which the first 10,000 training and 2,000 test
images are used. Without it, only scikit-learn's digits are used. Everything runs in PyTorch in
float32 on one thread, from He et al.'s initial weights. Losses are training losses: the mean
cross-entropy over all training images after the last epoch.
"""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.harness import command, data, files, networks, on_torch
from benchmarks.harness.runs import Run, train
from benchmarks.tuning import picture, tables
from indian_core import ALPHA, BETA
from indian_core.tuning import SAFETY, from_curvature
from indian_torch import INDIAN
from indian_torch.curvature import largest_curvature, suggest_lr

RESULTS = harness.RESULTS / "tuning.json"
TRAIN, TEST = 10_000, 2_000
SAMPLES = 1_000  # for the curvature
BATCH = 32
# The paper's four pairs (section 5.2.2), and the default.
DAMPINGS = ((0.5, 0.1), (0.1, 0.1), (0.5, 0.5), (0.5, 1.0), (ALPHA, BETA))
PARTS = (1 / 8, 1 / 4, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)


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
        return model, loss_of(model, *self.samples(slice(SAMPLES)))

    def samples(self, which: slice) -> tuple[Tensor, Tensor]:
        images, labels = self.dataset.train_images[which], self.dataset.train_labels[which]
        return on_torch.channels_first(images), torch.from_numpy(labels)


def problems(fashion: str | None) -> Iterator[Problem]:
    dense = ("dense 64", "relu", "dense classes")
    small = ("conv 16 3", "relu", "max-pool 2", "conv 32 3", "relu", "max-pool 2", "dense classes")
    large = ("conv 8 5", "relu", "max-pool 4", "conv 16 3", "relu", "max-pool 2", "dense classes")
    digits = data.load()
    yield Problem("digits, MLP", digits, dense, epochs=10, seeds=(0, 1))
    yield Problem("digits, CNN", digits, small, epochs=6, seeds=(0, 1))
    if fashion is not None:
        whole = data.load(fashion)
        part = data.Dataset(
            "Fashion-MNIST",
            whole.train_images[:TRAIN],
            whole.train_labels[:TRAIN],
            whole.test_images[:TEST],
            whole.test_labels[:TEST],
        )
        yield Problem("Fashion-MNIST, MLP", part, dense, epochs=3, seeds=(0,))
        yield Problem("Fashion-MNIST, CNN", part, large, epochs=2, seeds=(0,))


def loss_of(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    return lambda: nn.functional.cross_entropy(model(images), labels)


def final(problem: Problem, seed: int, lr: float, **rule: float) -> tuple[float, float]:
    """Return a run's final training loss and test accuracy; NaN and about 0.1 if it diverged."""
    run = Run(
        framework="torch",
        optimizer="",
        rule="indian",
        hyperparameters=rule,
        lr=lr,
        power=0.0,
        network=problem.network,
        batch_size=BATCH,
        epochs=problem.epochs,
        seed=seed,
    )
    *_, (last,) = train([run], problem.dataset, on_torch.Trainer)
    return last.train_loss, last.test_accuracy


def suggestions(problem: Problem) -> Iterator[dict[str, Any]]:
    """Yield runs at fractions of the limit: the suggestion at each safety, and a grid around it."""
    for seed in problem.seeds:
        model, whole = problem.start(seed)
        curvature = largest_curvature(whole, model.parameters())
        for alpha, beta in DAMPINGS:
            for part in PARTS:
                found = from_curvature(curvature, alpha, beta, part)
                rule = {"alpha": alpha, "beta": beta, "initial_speed": found.initial_speed}
                loss, accuracy = final(problem, seed, found.lr, **rule)
                yield rule | {
                    "seed": seed,
                    "curvature": curvature,
                    "limit": found.limit,
                    "part": part,
                    "train_loss": loss,
                    "test_accuracy": accuracy,
                }


def curvatures(problem: Problem, alpha: float = 0.5, beta: float = 0.1) -> Iterator[dict[str, Any]]:
    """Yield the curvatures of the loss and of minibatches during training as suggested."""
    model, whole = problem.start(seed=0)
    found = suggest_lr(whole, model.parameters(), alpha, beta)
    optimizer = INDIAN(model.parameters(), found.lr, alpha, beta, found.initial_speed)
    images, labels = problem.samples(slice(None))
    look = {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
    steps = (
        batch
        for epoch in range(1, 1000)
        for batch in data.minibatches(len(labels), BATCH, seed=0, epoch=epoch)
    )
    for k, batch in zip(range(max(look) + 1), steps, strict=False):
        if k in look:
            parts = (problem.samples(slice(i, i + BATCH)) for i in range(0, 8 * BATCH, BATCH))
            losses = (loss_of(model, *part) for part in parts)
            yield {
                "step": k,
                "whole": largest_curvature(whole, model.parameters()),
                "minibatches": [largest_curvature(one, model.parameters()) for one in losses],
                "limit": found.limit,
                "lr": found.lr,
            }
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()


def first_steps(
    problem: Problem, beta: float = 0.1, alpha: float = 0.5
) -> Iterator[dict[str, Any]]:
    """Yield the losses from the paper's start and from rest, at the same suggested step size."""
    for seed in problem.seeds:
        model, whole = problem.start(seed)
        found = suggest_lr(whole, model.parameters(), alpha, beta)
        for speed in (1.0, beta):
            model, whole = problem.start(seed)
            optimizer = INDIAN(model.parameters(), found.lr, alpha, beta, speed)
            before = whole()
            before.backward()
            optimizer.step()
            loss, _ = final(problem, seed, found.lr, alpha=alpha, beta=beta, initial_speed=speed)
            yield {
                "seed": seed,
                "lr_times_curvature": found.lr * found.curvature,
                "suggested_speed": found.initial_speed,
                "initial_speed": speed,
                "loss_before": before.item(),
                "loss_after_one_step": whole().item(),
                "train_loss": loss,
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


def traces(problem: Problem, steps: int = 600) -> Iterator[dict[str, Any]]:
    """Yield loss and energy over the steps with the gradient of the whole loss."""
    for trace in TRACES:
        model, whole = problem.start(seed=0)
        alpha, beta = trace["alpha"], trace["beta"]
        curvature = largest_curvature(whole, model.parameters())
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
        yield trace | {
            "lr": found.lr,
            "loss": losses[::2],
            "energy": energies[::2],
        }


STUDIES = {study.__name__: study for study in (suggestions, curvatures, first_steps, traces)}


def measure(fashion: str | None, names: Sequence[str]) -> None:
    if fashion is not None:
        data.load(fashion)  # refuses an invalid folder before the long work
    content = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    content["software"] = f"{on_torch.VERSIONS}, {platform.machine()}, one thread"
    content["fashion"] = fashion is not None
    for name in names:
        rows = []
        for problem in problems(fashion):
            if name == "traces" and problem.name != "digits, MLP":
                continue  # one problem is enough to show the point of a recipe
            found = ({"problem": problem.name} | row for row in STUDIES[name](problem))
            rows += files.rounded(list(found), 5)
            print(f"{name}: {problem.name}", flush=True)
        content[name] = rows
        files.write(RESULTS, content)


def main() -> None:
    parser = command.parser("tuning", __doc__, output=None)
    parser.add_argument("--fashion", metavar="FOLDER", help="Fashion-MNIST's IDX files")
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if not options.draw:
        held = RESULTS.exists() and json.loads(RESULTS.read_text())["fashion"]
        if held and options.fashion is None:
            parser.error(f"--fashion is needed: {RESULTS.name} holds its rows, now to be replaced")
        torch.set_num_threads(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            measure(options.fashion, options.only)
    content = json.loads(RESULTS.read_text())
    for name, table in tables.every(content).items():
        print(f"## {name}\n\n{table}\n")
    for name, figure in picture.every(content).items():
        files.save(figure, RESULTS.with_name(f"tuning-{name}.png"))


if __name__ == "__main__":
    main()
