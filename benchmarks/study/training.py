"""Training runs: one program for each optimizer and length, run with any rate and seed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.study.optimizers import METHODS

PARTS = 20  # of a run, after each of which the progress is shown and a diverged run ends
LAST = 0.05  # the cosine's last factor
NAMES = tuple(
    f"{samples} {quantity}"
    for samples in ("train", "validation", "test")
    for quantity in ("loss", "accuracy")
)
_CHUNK = 500  # samples that a loss is computed on at a time


@dataclass(frozen=True)
class Workload:
    """A training problem.

    Attributes:
        name: The workload's name in files and tables.
        data: What it is trained on.
        initial: ``initial(seed)``, the weights and the statistics of normalisation.
        loss: ``loss(params, statistics, batch, train)``: a mean over the batch, and (the new
            statistics, the share of right predictions).
        train: The training samples: arrays whose first axes agree.
        measured: The samples that the losses at the end are of, by "train", "validation", "test".
        batches: ``batches(seed, steps)``, the minibatches' indices: (steps, batch size).
        warmup: The share of the steps over which the rate rises, for all methods.
        clip: The largest norm allowed for all gradients together; None for no clipping.
    """

    name: str
    data: str
    initial: Callable[[int], tuple[Any, Any]]
    loss: Callable[..., tuple[jax.Array, tuple[Any, jax.Array]]]
    train: tuple[np.ndarray, ...]
    measured: dict[str, tuple[np.ndarray, ...]]
    batches: Callable[[int, int], np.ndarray]
    warmup: float = 0.05
    clip: float | None = None


def factors(schedule: str, steps: int, warmup: float) -> np.ndarray:
    """Return the rate's factor in each step: "cosine" and "constant" rise first, "flat" is 1."""
    warm = 0 if schedule == "flat" else round(warmup * steps)
    rising = (np.arange(warm) + 1) / (warm + 1)
    t = np.arange(steps - warm) / max(steps - warm, 1)
    falling = LAST + (1 - LAST) * (1 + np.cos(np.pi * t)) / 2
    rest = falling if schedule == "cosine" else np.ones_like(t)
    return np.concatenate([rising, rest]).astype(np.float32)


class Program:
    """The runs of one method at one momentum and length on a workload."""

    def __init__(
        self, workload: Workload, steps: int, method: str, momentum: float | None, schedule: str
    ) -> None:
        self._workload, self._method, self._momentum = workload, METHODS[method], momentum
        self._steps = steps
        self._factors = jnp.asarray(factors(schedule, steps, workload.warmup))
        self._train = tuple(map(jnp.asarray, workload.train))
        self._part = jax.jit(self._make_part, donate_argnums=1)

    def __call__(
        self, rate: float, seed: int, on_steps: Callable[[int], Any] = lambda _: None
    ) -> dict[str, float]:
        """Return the losses at the end of a run; NaN or infinite ones if it diverged."""
        params, statistics = jax.tree.map(jnp.array, self._workload.initial(seed))
        rate = np.float32(rate)
        carry = (params, statistics, self._optimizer(rate).init(params))
        for part in np.array_split(self._workload.batches(seed, self._steps), PARTS):
            carry, loss = self._part(rate, carry, part, self._train)
            on_steps(len(part))
            if not np.isfinite(loss):
                return dict.fromkeys(NAMES, np.nan)
        return measure(self._workload, self._evaluated(carry), carry[1])

    def _optimizer(self, rate: Any) -> optax.GradientTransformation:
        made = self._method.make(
            lambda count: rate * self._factors[count], self._momentum, self._steps
        )
        clip = self._workload.clip
        return made if clip is None else optax.chain(optax.clip_by_global_norm(clip), made)

    def _make_part(self, rate: Any, carry: Any, batches: Any, train: Any) -> Any:
        optimizer = self._optimizer(rate)
        gradient = jax.value_and_grad(self._workload.loss, has_aux=True)

        def step(carry: Any, chosen: Any) -> Any:
            params, statistics, state = carry
            batch = tuple(array[chosen] for array in train)
            (loss, (statistics, _)), slopes = gradient(params, statistics, batch, True)
            updates, state = optimizer.update(slopes, state, params)
            return (optax.apply_updates(params, updates), statistics, state), loss

        carry, losses = jax.lax.scan(step, carry, batches)
        return carry, losses.mean()

    def _evaluated(self, carry: Any) -> Any:
        """Return the weights to evaluate; those of a schedule-free method are an average."""
        params, _, state = carry
        if not self._method.name.startswith("schedule-free"):
            return params
        state = state if self._workload.clip is None else state[1]
        return optax.contrib.schedule_free_eval_params(state, params)


def measure(workload: Workload, params: Any, statistics: Any) -> dict[str, float]:
    """Return the mean losses, and the share of right predictions, on the measured samples."""
    found = {}
    for name, samples in workload.measured.items():
        parts = [
            _evaluate(workload.loss, params, statistics, tuple(a[i : i + _CHUNK] for a in samples))
            for i in range(0, len(samples[0]), _CHUNK)
        ]
        found[f"{name} loss"], found[f"{name} accuracy"] = np.mean(parts, axis=0).tolist()
    return found


@functools.partial(jax.jit, static_argnums=0)
def _evaluate(loss: Any, params: Any, statistics: Any, samples: Any) -> jax.Array:
    value, (_, right) = loss(params, statistics, samples, False)
    return jnp.stack([value, right])


def cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the mean cross-entropy and the share of right predictions."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)
    return -chosen.mean(), (logits.argmax(axis=-1) == labels).mean()
