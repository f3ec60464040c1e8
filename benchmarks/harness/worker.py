"""Makes runs in one framework: the function of a worker's process."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from typing import Any

from . import data
from .runs import Run, train

_REPORT_SECONDS = 0.2


class _Reporter:
    """Sends messages; counts steps and reports them a few times a second."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._steps = 0
        self._reported = time.monotonic()

    def step(self) -> None:
        self._steps += 1
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._flush_steps()

    def write(self, **message: Any) -> None:
        self._flush_steps()
        self._send(message)

    def _flush_steps(self) -> None:
        if self._steps:
            self._send({"steps": self._steps})
        self._steps, self._reported = 0, time.monotonic()


def make(job: dict[str, Any], send: Callable[[Any], None]) -> None:
    """Make the job's runs, and send what happens.

    Messages are {"steps": n} for n optimizer steps, {"start": index} before each run, {"epoch":
    record} after each epoch of it, and {"done": index, "software": versions} after it. Runs made
    together start and end together, and their records come at the end.

    Args:
        job: "framework", "data" (a folder or None), "runs", "together" and "processors".
        send: Takes a message.
    """
    if job["processors"] and hasattr(os, "sched_setaffinity"):
        # Before the framework starts its threads, one for each processor that it sees.
        os.sched_setaffinity(0, job["processors"])
    framework = importlib.import_module(f"{__package__}.on_{job['framework']}")
    dataset = data.load(job["data"])
    reporter = _Reporter(send)
    runs: list[Run] = job["runs"]
    if job["together"]:
        together = importlib.import_module(f"{__package__}.together").train_together
        columns = zip(*together(runs, dataset, reporter.step), strict=True)
    else:
        columns = (train(run, dataset, framework.Trainer, reporter.step) for run in runs)
    for index, records in enumerate(columns):
        reporter.write(start=index)
        for record in records:
            reporter.write(epoch=record)
        reporter.write(done=index, software=framework.VERSIONS)
