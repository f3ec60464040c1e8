"""Functions in processes of their own: they share no threads, memory, environment or terminal."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Generator, Mapping
from multiprocessing.connection import Connection
from typing import Any, Protocol

# A GPU that a framework sees it also uses. Curves of frameworks are compared on the CPU, where
# float32 is float32: on a GPU, convolutions may round their inputs to fewer bits.
DEVICES = {"cpu": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}, "cuda": {}}


class Bar(Protocol):
    """What is needed of a tqdm progress bar."""

    def update(self, steps: int) -> Any: ...
    def set_description(self, text: str) -> Any: ...


def environment(framework: str, device: str, keras_backend: str) -> dict[str, str]:
    """Return the variables for a framework's process on "cpu", where it sees no GPU, or "cuda"."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if framework == "keras":
        variables["KERAS_BACKEND"] = keras_backend
    if device == "cpu":
        # Kernels of a few numbers are done before a second thread has been woken.
        variables["OMP_NUM_THREADS"] = "1"
    return variables | DEVICES[device]


def call(
    function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str], bar: Bar
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
    running = messages(function, *arguments, environment=environment)
    while True:
        try:
            bar.update(next(running))
        except StopIteration as end:
            return end.value


def messages(
    function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str]
) -> Generator[Any, None, Any]:
    """Run ``function(*arguments, send)`` likewise; yield what it sends, and return its result."""
    name = f"{function.__module__}.{function.__name__}"
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile("r", errors="replace") as terminal:
        job = (sender, terminal.name, dict(environment), function, arguments)
        process = context.Process(target=_answer, args=job, daemon=True)
        process.start()
        sender.close()
        try:
            while True:
                kind, value = receiver.recv()
                if kind == "message":
                    yield value
                elif kind == "result":
                    return value
                else:
                    raise RuntimeError(f"{name}: {value}")
        except EOFError:
            process.join()
            last_words = "".join(terminal.readlines()[-20:])
            raise RuntimeError(
                f"{name}: its process ended with exit status {process.exitcode}\n{last_words}"
            ) from None
        finally:
            process.kill()
            process.join()


def _answer(
    sender: Connection,
    terminal: str,
    variables: dict[str, str],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(variables)
    # What the frameworks say, their C++ code included, must not disturb a progress bar.
    with open(terminal, "w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    try:
        result = function(*arguments, lambda value: sender.send(("message", value)))
    except Exception as error:  # whatever it is, the parent reports it
        sender.send(("error", f"{type(error).__name__}: {error}"))
    else:
        sender.send(("result", result))
