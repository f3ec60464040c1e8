"""The harness that the demo and the paper's studies share: data, networks, runs, logs.

A training run is described as data. A `runs.Run` specifies everything about it, and each of the
three `on_*` modules, one per framework, makes the same run from that description.
"""

from pathlib import Path

#: Where the commands write their results, which the pages of docs/ show.
RESULTS = Path(__file__).parents[2] / "docs" / "results"
