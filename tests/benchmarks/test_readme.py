"""The README's table is that of the study's files, and the README is one page."""

from __future__ import annotations

from benchmarks.study import readme

from . import commands


def test_the_table_is_that_of_the_files() -> None:
    made = readme.table(commands.RESULTS)
    assert made.count("\n") == 9
    assert made in (commands.BENCHMARKS.parent / "README.md").read_text()


def test_it_is_one_page() -> None:
    text = (commands.BENCHMARKS.parent / "README.md").read_text()
    assert len(text.splitlines()) <= 130
    assert len(text.partition("## Install")[0].split()) < 150
