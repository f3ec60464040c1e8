"""Every Python fence of every page runs, in the page's order: what a page says is what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from indian_core import indian_from_damped_sgd
from indian_core.tuning import spectral_radius

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES)
def test_the_fences_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(ROOT))
    for example in pages.parse(ROOT / page).examples():
        example.evaluate()


NAVIGATION = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
LABORATORY = re.findall(r"\S+\.md", NAVIGATION.partition("- Evidence:")[2].partition("- API:")[0])
GUIDE = [page for page in PAGES if page.startswith("docs/") and page[5:] not in LABORATORY]


@pytest.mark.parametrize("page", GUIDE)
def test_a_page_is_read_in_three_minutes(page: str) -> None:
    prose = re.sub(r"^ *```.*?^ *```", "", (ROOT / page).read_text(), flags=re.M | re.S)
    assert len(re.findall(r"\S*\w\S*", prose)) <= 700


def largest_stable_curvature(lr: float, hyperparameters: Any) -> float:
    """Return in units of 1/lr up to which curvature a constant step is stable."""
    curvatures = np.linspace(0, 5 / lr, 50_001)[1:]
    unstable = spectral_radius(*hyperparameters[:3], curvatures) > 1
    return float(curvatures[unstable.argmax()] * lr)


def test_what_the_pages_say_of_stability() -> None:
    lr, m = 0.1, 0.9
    ball, nesterov, damped = (
        largest_stable_curvature(lr, indian_from_damped_sgd(lr, m, damping))
        for damping in (1 - m, 1 - m**2, 0.3)
    )
    texts = {page: " ".join((ROOT / page).read_text().split()) for page in PAGES}
    heavy = f"{ball:.1f} for the heavy ball, {nesterov:.2f} for Nesterov's momentum"
    assert f"{heavy} and {damped:.2f} for d = 0.3" in texts["docs/choosing.md"]
    assert round(ball / damped) == 5
    assert "five times less headroom than with SGD's heavy ball" in texts["README.md"]
