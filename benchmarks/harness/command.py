"""Shared by the commands: their parser, a type of argument, and their error messages."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from . import RESULTS


def parser(
    study: str, description: str | None, output: Path | str = RESULTS
) -> argparse.ArgumentParser:
    """Return the parser of ``python -m benchmarks.<study>``.

    The commands pass their module's docstring as the description, which ``--help`` shows.
    """
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{study}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--output", type=Path, default=output, metavar="DIR", help="(%(default)s)")
    return made


def positive(text: str) -> int:
    """Return an argument's text as a positive whole number."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Exit with an error's type and text if it is of a kind that a user can correct."""
    try:
        yield
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
