"""Run functions in separate processes, which share no threads, memory, environment or terminal."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any


def call(
    function: Callable[..., Any],
    *arguments: Any,
    environment: Mapping[str, str],
    bar: Any,
    processors: Sequence[int] = (),
) -> Any:
    """Return ``function(*arguments, on_steps)``, computed in a new Python process.

    Args:
        function: A function of an importable module. Its last parameter is a callback, which it
            calls with the number of steps made since the previous call.
        arguments: The function's other arguments. They and the result must pickle.
        environment: Variables that are added to the parent's environment.
        bar: A progress bar, such as tqdm's. It is advanced by the number of steps made.
        processors: The numbers of the processors that the process may use; all by default.

    Raises:
        RuntimeError: If the function raises, or the process ends without a result.
    """
    name = f"{function.__module__}.{function.__name__}"
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile("r", errors="replace") as terminal:
        job = (sender, terminal.name, dict(environment), processors, function, arguments)
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
    processors: Sequence[int],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(variables)
    if processors and hasattr(os, "sched_setaffinity"):
        # Must come before a framework starts its threads, one for each processor that it sees.
        os.sched_setaffinity(0, processors)
    # The output of the frameworks, including their C++ code, must not disturb a progress bar.
    with open(terminal, "w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    try:
        result = function(*arguments, lambda steps: sender.send(("steps", steps)))
    except Exception as error:  # of any kind, because the parent reports it
        sender.send(("error", f"{type(error).__name__}: {error}"))
    else:
        sender.send(("result", result))


def several(
    make: Callable[[Any, Sequence[int]], Any], jobs: Iterable[Any], processes: int
) -> Iterator[tuple[Any, Any]]:
    """Yield each job with the result of ``make(job, processors)``, in the order of completion.

    At most `processes` jobs run at a time, each in a thread and with a share of the processors.
    (Several small networks keep several processors busier than one network does.)
    """
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    shares: SimpleQueue[Sequence[int]] = SimpleQueue()
    for i in range(processes):
        shares.put(available[i % len(available) :: processes] if available else ())

    def one(job: Any) -> tuple[Any, Any]:
        share = shares.get()
        try:
            return job, make(job, share)
        finally:
            shares.put(share)

    with ThreadPoolExecutor(processes) as pool:
        futures = [pool.submit(one, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
