"""Every Python fence of every page runs, in the page's order: what a page says is what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from indian_core import ALPHA, BETA, from_sgd
from indian_core.tuning import spectral_radius

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


def largest_stable_curvature(lr: float, hyperparameters: Any) -> float:
    """Return in units of 1/lr up to which curvature a constant step is stable."""
    curvatures = np.linspace(0, 5 / lr, 50_001)[1:]
    unstable = spectral_radius(*hyperparameters[:3], curvatures) > 1
    return float(curvatures[unstable.argmax()] * lr)


def test_what_the_pages_say_of_stability() -> None:
    lr, momentum = 0.1, 0.9
    settings: list[dict[str, Any]] = [{}, {"nesterov": True}, {"damping": 0.3}]
    ball, nesterov, damped = (
        largest_stable_curvature(lr, from_sgd(lr, momentum, keep_momentum=False, **each))
        for each in settings
    )
    texts = {page: " ".join((ROOT / page).read_text().split()) for page in PAGES}
    readme = f"up to curvatures of {ball:.1f}/lr, with Nesterov's momentum up to {nesterov:.1f}/lr"
    assert readme in texts["README.md"]
    assert f"with `damping=0.3` up to {damped:.2f}/lr" in texts["README.md"]
    migration = f"{damped:.2f}/lr, with Nesterov's momentum up to {nesterov:.1f}/lr, and with the"
    assert f"{migration} heavy ball up to {ball:.1f}/lr" in texts["docs/migration.md"]
    defaults = (0.1, ALPHA, BETA)
    assert largest_stable_curvature(0.1, defaults) == pytest.approx(1, rel=0.1)
    assert "`INDIAN(…)` is up to about 1/lr" in texts["README.md"]
