"""Every Python fence of every page runs, in the page's order: what a page says is what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]


def authors_checkpoint(model: Any) -> dict[str, Any]:
    """Return a checkpoint as the authors' PyTorch code leaves it."""
    params = list(model.parameters())
    group = {"lr": 0.1, "alpha": 0.5, "beta": 0.1, "decaypower": 0.5, "weight_decay": 0.0}
    state = {i: {"step": 3, "psi": param.detach().clone()} for i, param in enumerate(params)}
    group["params"] = list(state)
    optimizer = {"state": state, "param_groups": [group]}
    return {"model": model.state_dict(), "optimizer": optimizer}


@pytest.mark.parametrize("page", PAGES)
def test_the_fences_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(ROOT))
    for example in pages.parse(ROOT / page).examples():
        example.evaluate()
