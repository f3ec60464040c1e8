"""Makes runs of one framework: the process that `workers.train_all` starts.

Reads a job from stdin, {"framework", "data", "runs", "together", "processors"}, and writes JSON
lines to stdout: {"steps": n} for n more optimizer steps, {"start": index} and {"epoch": record} at
the start and after each epoch of a run, and {"done": index, "software": versions} after each run.
Runs made together start and end together, and their records come at the end. What the frameworks
print goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any, TextIO

from . import data
from .runs import Run, train

_REPORT_SECONDS = 0.2


class _Reporter:
    """Writes messages; counts steps and reports them a few times a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._steps = 0
        self._reported = time.monotonic()

    def step(self) -> None:
        self._steps += 1
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._flush_steps()

    def write(self, **message: Any) -> None:
        self._flush_steps()
        print(json.dumps(message), file=self._stream, flush=True)

    def _flush_steps(self) -> None:
        if self._steps:
            print(json.dumps({"steps": self._steps}), file=self._stream, flush=True)
        self._steps, self._reported = 0, time.monotonic()


def main() -> None:
    job = json.load(sys.stdin)
    # The frameworks' C++ code writes to file descriptor 1 too: keep the messages apart from it.
    messages = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if job["processors"] and hasattr(os, "sched_setaffinity"):
        # Before the framework starts its threads, one for each processor that it sees.
        os.sched_setaffinity(0, job["processors"])
    framework = importlib.import_module(f"{__package__}.on_{job['framework']}")
    dataset = data.load(job["data"])
    reporter = _Reporter(messages)
    runs = [Run(**fields) for fields in job["runs"]]
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


if __name__ == "__main__":
    main()
