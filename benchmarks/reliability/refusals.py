"""Thousands of valid and invalid inputs: each is used as the number it stands for, or refused."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from .values import Value

# The possible outcomes of an input. All but the first two are faults.
GOOD = ("used", "refused in words")
FAULTS = (
    "used, though it cannot be",
    "refused, though it can be used",
    "used as another number",
    "refused without its name",
    "another exception",
    "half changed",
)
OUTCOMES = (*GOOD, *FAULTS)


class FailsLaterError(Exception):
    """An input was accepted, but the next step failed because of it."""


class Trial(NamedTuple):
    """One input.

    Attributes:
        where: The place that takes the input.
        what: A description of the input.
        attempt: A function that passes the input and returns the run's result: arrays, or None.
        usable: Whether the input can be used; None if both answers are right.
        words: The refusal must contain at least one of these words, if there are any.
        expected: A function that returns the right result; None if any result is right.
        watched: A function that returns everything that a refusal must leave unchanged.
    """

    where: str
    what: str
    attempt: Callable[[], Any]
    usable: bool | None = None
    words: tuple[str, ...] = ()
    expected: Callable[[], Any] | None = None
    watched: Callable[[], Any] = tuple


# Other names by which a refusal may refer to a hyperparameter.
_NAMES = {
    "lr": ("learning rate",),
    "learning_rate": ("learning rate",),
    "sgd_lr": ("learning rate", "learning_rate", "lr"),
    "adam_lr": ("learning rate", "learning_rate", "lr"),
}


def given(
    where: str,
    name: str,
    value: Value,
    run: Callable[[Any], Any],
    usable: bool | None,
    **others: Any,
) -> Trial:
    """Return the trial of a hyperparameter; ``run(number)`` makes a run with that number."""
    words = (name, *_NAMES.get(name, ()))
    attempt = functools.partial(run, value.value)
    return Trial(where, f"{name} = {value.label}", attempt, usable, words, **others)


def followed(load: Callable[[], Any], step: Callable[[], Any]) -> None:
    """Load, and if that succeeds, make a step, which must not fail because of what was loaded."""
    load()
    try:
        step()
    except Exception as error:
        raise FailsLaterError(f"loaded, but the next step failed: {error!r}") from error


def outcome(trial: Trial) -> tuple[str, str]:
    """Return a trial's outcome, one of `OUTCOMES`, and the error message or the wrong result."""
    before = copy.deepcopy(trial.watched())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = trial.attempt()
        except Exception as error:
            changed = not same(before, trial.watched())
            return _of_refusal(trial, error, changed), f"{type(error).__name__}: {error}"
        if trial.usable is False:
            return "used, though it cannot be", ""
        if trial.expected is not None and not same(result, trial.expected()):
            return "used as another number", f"{result}"
    return "used", ""


def _of_refusal(trial: Trial, error: Exception, changed: bool) -> str:
    if changed:
        return "half changed"
    # (PyTorch itself raises RuntimeError for options that exclude each other.)
    if not isinstance(error, ValueError | TypeError | RuntimeError):
        return "another exception"
    if trial.usable:
        return "refused, though it can be used"
    if trial.words and not any(word in str(error) for word in trial.words):
        return "refused without its name"
    return "refused in words"


def count(trials: Iterable[Trial]) -> tuple[dict[str, Counter[str]], list[dict[str, str]]]:
    """Return how often each outcome occurred at each place, and the faults."""
    table: dict[str, Counter[str]] = {}
    faults = []
    for trial in trials:
        found, words = outcome(trial)
        table.setdefault(trial.where, Counter())[found] += 1
        if found in FAULTS:
            faults.append(
                {"where": trial.where, "what": trial.what, "outcome": found, "text": words}
            )
    return table, faults


def same(one: Any, other: Any) -> bool:
    """Return whether two trees of containers and arrays are equal, with NaN equal to itself."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "shape") or hasattr(other, "shape"):
        a, b = np.asarray(one), np.asarray(other)
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124


def mangled(
    tree: Any, bad: Callable[[Any], Iterable[tuple[str, Any]]]
) -> Iterator[tuple[str, Any]]:
    """Yield copies of nested dicts and lists in which one entry is missing, extra or replaced.

    Args:
        tree: A state dict.
        bad: A function that returns an entry's replacements, each as (label, value).
    """
    for path in _paths(tree):
        name = "".join(f"[{key!r}]" for key in path)
        here = _at(tree, path)
        for label, value in bad(here):
            yield f"{name} = {label}", _with(tree, path, value)
        if path:
            yield f"{name} missing", _with(tree, path, _MISSING)
        if isinstance(here, dict):
            yield f"{name} with a stranger", _with(tree, path, {**here, "stranger": 1})
        if isinstance(here, list) and here:
            yield f"{name} twice as long", _with(tree, path, here + here)


_MISSING = object()


def _paths(tree: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    children = tree.items() if isinstance(tree, dict) else ()
    children = enumerate(tree) if isinstance(tree, list) else children
    for key, child in children:
        for path in _paths(child):
            yield (key, *path)


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _with(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(tree)
    parent = _at(changed, path[:-1])
    if value is _MISSING:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return changed


def measure(adapter: Any, options: Any) -> tuple[dict[str, Any], bool]:
    """Try all inputs of an adapter, and print the table.

    Returns:
        The figures for the file, and whether there are faults.
    """
    del options
    table, faults = count(tqdm(adapter.trials(), unit=" inputs", disable=None))
    totals: Counter[str] = sum(table.values(), Counter())
    for fault in faults:
        print(f"{fault['where']}: {fault['what'][:80]}: {fault['outcome']}: {fault['text'][:160]}")
    print(f"{'':32}" + "".join(f"{short:>10}" for short in ("used", "refused", "faults")))
    for where, counts in [*table.items(), ("all", totals)]:
        wrong = sum(counts[fault] for fault in FAULTS)
        print(f"{where:32}{counts['used']:>10}{counts['refused in words']:>10}{wrong:>10}")
    figures = {
        "inputs": sum(totals.values()),
        "outcomes": {where: dict(counts) for where, counts in table.items()},
        "faults": faults,
    }
    return figures, bool(faults)
