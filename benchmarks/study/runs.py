"""A cell of the study: one method on one workload under one schedule, tuned and rerun.

Every trial is a point of one scrambled Sobol sequence, which is the same for all methods. A method
takes one coordinate for each number that it tunes. All trials are run from one seed. The best of
the first N trials, and the best of each other block of N, are rerun from other seeds, and these
reruns are reported.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import qmc

from benchmarks.harness.files import rounded
from benchmarks.study.methods import METHODS, SWEEPS, Method
from benchmarks.study.workloads import Workload, load

POINTS = 20  # of a curve
DIMENSIONS = 3
TUNING_SEED = 0
_DIGITS = 5

SCHEDULES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": np.ones_like,
    "linear": lambda t: 1 - t,
    "cosine": lambda t: (1 + np.cos(np.pi * t)) / 2,
}


def trials(count: int, seed: int = 0) -> np.ndarray:
    """Return the points that all methods share: (count, 3), in the unit cube."""
    return np.asarray(qmc.Sobol(DIMENSIONS, scramble=True, rng=seed).random(count))


def blocks(count: int, budgets: Sequence[int]) -> dict[int, list[range]]:
    """Return, for each budget, the disjoint blocks of trials, each of which is one draw.

    If their size is a power of 2, aligned blocks of a Sobol sequence are as evenly spread as its
    beginning.
    """
    return {
        budget: [range(i, i + budget) for i in range(0, count - budget + 1, budget)]
        for budget in budgets
        if budget <= count
    }


def factors(schedule: str, workload: Workload) -> np.ndarray:
    """Return the learning rate's factor in each step."""
    warm = round(workload.warmup * workload.steps)
    rising = (np.arange(warm) + 1) / (warm + 1)
    t = np.arange(workload.steps - warm) / (workload.steps - warm)
    return np.concatenate([rising, SCHEDULES[schedule](t)]).astype(np.float32)


class Runner:
    """Makes runs of one method on one workload, all with one compiled program."""

    def __init__(self, workload: Workload, method: Method) -> None:
        self.workload, self.method = workload, method
        self._train = tuple(map(jnp.asarray, workload.train))
        self._seen = _some(workload.train, workload.seen)
        self._test = _some(workload.test, workload.seen)
        # The decay of the weights' moving average, over about the last tenth of the run.
        self._averaging = 1 - 10 / workload.steps
        self._program = jax.jit(self._run)

    def __call__(self, values: Mapping[str, float], schedule: str, seed: int) -> dict[str, Any]:
        """Return a run's record: losses on the way, at the end, and with averaged weights."""
        curve, ends = self.run(values, schedule, seed)
        record = {name: rounded(float(value), _DIGITS) for name, value in ends.items()}
        return {"curve": [rounded(float(loss), 4) for loss in curve]} | record

    def run(self, values: Mapping[str, float], schedule: str, seed: int) -> Any:
        """Return a run's unrounded results: the curve, and the numbers at the end."""
        weights = self.workload.initial(np.random.default_rng((seed, 1)))
        batches = self.workload.batches(seed)
        per_point = len(batches) // POINTS
        batches = batches[: per_point * POINTS].reshape(POINTS, per_point, -1)
        return self._program(
            {name: np.float32(value) for name, value in values.items()},
            factors(schedule, self.workload),
            jax.tree.map(jnp.asarray, weights),
            jnp.asarray(batches),
            (self._train, self._seen, self._test),
        )

    def _run(self, values: Any, factors: Any, params: Any, batches: Any, data: Any) -> Any:
        train, seen, test = data
        some = tuple(array[: self.workload.seen // 4] for array in seen)
        workload = self.workload
        optimizer = self.method.make(values, lambda count: factors[count])
        if workload.clip is not None:
            optimizer = optax.chain(optax.clip_by_global_norm(workload.clip), optimizer)

        def step(carry: Any, chosen: Any) -> tuple[Any, None]:
            params, state, average = carry
            batch = tuple(array[chosen] for array in train)
            gradients = jax.grad(workload.loss)(params, batch)
            updates, state = optimizer.update(gradients, state, params)
            params = optax.apply_updates(params, updates)
            average = jax.tree.map(
                lambda a, p: a + (1 - self._averaging) * (p - a), average, params
            )
            return (params, state, average), None

        def point(carry: Any, chosen: Any) -> tuple[Any, jax.Array]:
            carry, _ = jax.lax.scan(step, carry, chosen)
            return carry, workload.loss(self._evaluated(carry), some)

        start = (params, optimizer.init(params), params)
        carry, curve = jax.lax.scan(point, start, batches)
        weights, average = self._evaluated(carry), carry[2]
        return curve, {
            "train loss": _mean(workload.loss, weights, seen),
            "test loss": _mean(workload.loss, weights, test),
            "test score": _mean(workload.score, weights, test),
            "averaged train loss": _mean(workload.loss, average, seen),
            "averaged test loss": _mean(workload.loss, average, test),
            "averaged test score": _mean(workload.score, average, test),
        }

    def _evaluated(self, carry: Any) -> Any:
        """Return the weights to evaluate; those of a schedule-free method are an average."""
        params, state, _ = carry
        if self.method.name.startswith("schedule-free"):
            state = state[1] if self.workload.clip is not None else state
            return optax.contrib.schedule_free_eval_params(state, params)
        return params


def _some(samples: Sequence[np.ndarray], count: int) -> tuple[jax.Array, ...]:
    """Return this many of the samples, the same at every call."""
    chosen = np.random.default_rng(0).permutation(len(samples[0]))[:count]
    return tuple(jnp.asarray(array[chosen]) for array in samples)


def _mean(function: Callable[..., Any], params: Any, samples: Any, chunk: int = 500) -> Any:
    """Return the mean over all samples, computed a chunk at a time."""
    count = len(samples[0])
    parts = [tuple(a[i : i + chunk] for a in samples) for i in range(0, count, chunk)]
    return sum(function(params, part) * len(part[0]) for part in parts) / count


@functools.lru_cache(maxsize=1)
def runner(workload: str, method: str, data: str | None) -> Runner:
    """Return the runner; a repeated call returns the same one."""
    return Runner(load(workload, data), (METHODS | SWEEPS)[method])


def cell(
    job: Mapping[str, Any], schedule: str, points: np.ndarray, seeds: Sequence[int]
) -> Iterator[dict[str, Any] | None]:
    """Make a cell's runs. Yield None after each run, and the cell's content at the end.

    Args:
        job: The arguments of `runner`, and "budgets", the numbers N of trials.
        schedule: One of `SCHEDULES`.
        points: The trials, as returned by `trials`.
        seeds: The seeds of the runs that are reported.
    """
    make = runner(job["workload"], job["method"], job["data"])
    values = [make.method.values(point) for point in points]
    made = []
    for each in values:
        made.append(make(each, schedule, TUNING_SEED))
        yield None
    # Diverged runs rank last.
    losses = [math.inf if r["train loss"] is None else r["train loss"] for r in made]
    winners = {
        budget: [min(block, key=losses.__getitem__) for block in ranges]
        for budget, ranges in blocks(len(points), job["budgets"]).items()
    }
    again = {}
    for index in sorted({i for chosen in winners.values() for i in chosen}):
        again[index] = []
        for seed in seeds:
            again[index].append(make(values[index], schedule, seed))
            yield None
    yield {
        "workload": job["workload"],
        "method": job["method"],
        "schedule": schedule,
        "values": [{k: rounded(v, _DIGITS) for k, v in each.items()} for each in values],
        "losses": [r["train loss"] for r in made],
        "winners": {str(budget): chosen for budget, chosen in winners.items()},
        "runs": {str(index): records for index, records in again.items()},
    }
