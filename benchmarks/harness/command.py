"""What the commands share: their parser, and a type of its arguments."""

from __future__ import annotations

import argparse


def parser(study: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of ``python -m benchmarks.<study>``; its help is a module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{study}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def positive(text: str) -> int:
    """Return the positive whole number that an argument says."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)
