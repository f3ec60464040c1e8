"""One function call in a process of its own, under a progress bar."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Protocol

from . import workers


class Bar(Protocol):
    """What is needed of a tqdm progress bar."""

    def update(self, steps: int) -> Any: ...


def environment(framework: str, device: str, keras_backend: str) -> dict[str, str]:
    """Return the variables for a framework's process on "cpu", where it sees no GPU, or "cuda"."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if framework == "keras":
        variables["KERAS_BACKEND"] = keras_backend
    if device == "cpu":
        # Kernels of a few numbers are done before a second thread has been woken.
        variables["OMP_NUM_THREADS"] = "1"
    return variables | workers.DEVICES[device]


def call(
    function: Callable[..., Any],
    *arguments: Any,
    environment: Mapping[str, str],
    bar: Bar,
) -> Any:
    """Return ``function(*arguments, on_steps)``, computed in a new Python process.

    Args:
        function: A function of an importable module, which calls its last argument with the
            number of steps made since the last time.
        arguments: What it takes before that; they and the result must pickle.
        environment: Variables that the process has beside its parent's.
        bar: A progress bar, updated by the steps made.

    Raises:
        RuntimeError: If the function raises, or the process ends without a result.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    job = (sender, dict(environment), function, arguments)
    process = context.Process(target=_answer, args=job, daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            kind, value = receiver.recv()
            if kind == "steps":
                bar.update(value)
            elif kind == "result":
                return value
            else:
                raise RuntimeError(f"{function.__module__}.{function.__name__}: {value}")
    except EOFError:
        process.join()
        raise RuntimeError(
            f"{function.__module__}.{function.__name__}: its process ended with exit status "
            f"{process.exitcode}"
        ) from None
    finally:
        process.kill()
        process.join()


def _answer(
    sender: Connection,
    variables: dict[str, str],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(variables)
    try:
        result = function(*arguments, lambda steps: sender.send(("steps", steps)))
    except Exception as error:  # whatever it is, the parent reports it
        sender.send(("error", f"{type(error).__name__}: {error}"))
    else:
        sender.send(("result", result))
