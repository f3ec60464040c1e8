"""Is it reliable? Invalid inputs, a million steps, and a training process that is killed.

    python -m benchmarks.reliability refusals --framework torch
    python -m benchmarks.reliability drift --framework torch
    python -m benchmarks.reliability killed --framework torch

Frameworks: torch, jax, and keras on the backend that KERAS_BACKEND names. Prints a table, and
writes its figures to reliability-STUDY-FRAMEWORK.json in the output folder. The exit status is 1
if anything failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.harness import command, files

STUDIES = ("refusals", "drift", "killed")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("reliability", __doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--framework", choices=("torch", "jax", "keras"), required=True)
    parser.add_argument("--steps", type=int, default=1_000_000, help="of drift")
    parser.add_argument("--kills", type=int, default=20, help="of killed")
    options = parser.parse_args(arguments)
    name = options.framework
    if name == "keras":
        name += f"-{os.environ.get('KERAS_BACKEND', 'tensorflow')}"
    study = import_module(f".{options.study}", __package__)
    adapter = import_module(f".on_{options.framework}", __package__)
    figures, failed = study.measure(adapter, options)
    content = {
        "made by": f"python -m benchmarks.reliability {options.study} "
        f"--framework {options.framework}",
        "software": adapter.VERSIONS,
    } | figures
    files.write(options.output / f"reliability-{options.study}-{name}.json", content)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
