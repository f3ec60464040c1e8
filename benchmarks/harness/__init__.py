"""The harness that the demo and the paper's studies share: data, networks, runs, logs.

What is trained is data: a `runs.Run` says everything about a training run, and the three
`on_*` modules, one per framework, make the same run of it.
"""

from pathlib import Path

#: Where the commands leave what they have measured: the pages of docs/ show it.
RESULTS = Path(__file__).parents[2] / "docs" / "results"
