"""The built site: every public name of every package is on it, and equations are to be rendered."""

from __future__ import annotations

import ast
import html
import re
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
PACKAGES = {
    "indian_core": ROOT / "indian_core",
    **{path.name: path for path in sorted((ROOT / "backends").glob("indian_*"))},
}

if not SITE.exists():
    pytest.skip("no site is built: nox -s docs", allow_module_level=True)


def inventory() -> set[str]:
    """Return the names that the site documents, from the inventory that it offers to others."""
    _, _, _, _, packed = (SITE / "objects.inv").read_bytes().split(b"\n", 4)
    return {line.split()[0] for line in zlib.decompress(packed).decode().splitlines()}


def public_names(package: Path) -> list[str]:
    """Return `__all__`, without importing a framework."""
    for node in ast.parse((package / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{package.name} has no __all__")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_the_site(package: str) -> None:
    # A function may hide the module of its name, and is on the site under both.
    there = {name.rpartition(".")[2] for name in inventory() if name.startswith(f"{package}.")}
    assert set(public_names(PACKAGES[package])) - there == set()


def test_every_page_that_the_navigation_names_is_there() -> None:
    pages = re.findall(r": (\S+)\.md$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert len(pages) > 10
    assert [page for page in pages if not (SITE / f"{page}.html").exists()] == []


def words(page: str) -> str:
    """Return the text of a built page, as one line without markup."""
    bare = re.sub(r"<[^>]+>", "", (SITE / f"{page}.html").read_text())
    return " ".join(html.unescape(bare).split())


SHOWN = {
    "recipes": sorted((ROOT / "examples" / "recipes").glob("*.py")),
    "index": sorted((ROOT / "examples").glob("train_*.py")),
}


@pytest.mark.parametrize("page", SHOWN)
def test_a_page_shows_the_scripts_that_it_includes(page: str) -> None:
    there = words(page)
    missing = [
        script.name for script in SHOWN[page] if " ".join(script.read_text().split()) not in there
    ]
    assert missing == []


NOTEBOOKS = sorted(path.stem for path in (ROOT / "examples" / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_shows_what_it_drew(notebook: str) -> None:
    page = SITE / "notebooks" / f"{notebook}.html"
    pictures = re.findall(rf'src="({notebook}_files/[^"]+\.png)"', page.read_text())
    drawn = (ROOT / "examples" / "notebooks" / f"{notebook}.py").read_text().count("plt.subplots")
    assert len(pictures) == drawn > 0
    assert [name for name in pictures if not (page.parent / name).exists()] == []


def test_nothing_is_fetched_from_elsewhere() -> None:
    for page in SITE.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text()
        )
        assert fetched == [], page.name


def test_no_equation_is_left_as_text() -> None:
    for page in SITE.rglob("*.html"):
        prose = re.sub(r"<(script|code|pre)\b.*?</\1>", "", page.read_text(), flags=re.S)
        assert "$$" not in prose, page.name
