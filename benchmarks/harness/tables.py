"""Results as text for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = Mapping[str, str] | Sequence[tuple[str, str]]


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table.

    Args:
        rows: The texts by column name, or (name, text) pairs if a name occurs twice.
    """
    pairs = [list(row.items()) if isinstance(row, Mapping) else row for row in rows]
    names = [name for name, _ in pairs[0]]
    lines = [names, ["---"] * len(names), *([text for _, text in row] for row in pairs)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mean(values: Sequence[float | None], digits: str) -> str:
    """Return the mean over the seeds as text, and how many of them diverged (None)."""
    finite = [value for value in values if value is not None]
    if not finite:
        return "diverged"
    text = format(sum(finite) / len(finite), digits)
    lost = len(values) - len(finite)
    return f"{text} ({lost} of {len(values)} diverged)" if lost else text


def span(values: Sequence[float | None], digits: str) -> str:
    """Return the smallest and the largest number over the seeds as text."""
    finite = [value for value in values if value is not None]
    return f"{min(finite):{digits}}-{max(finite):{digits}}" if finite else ""


def step_size(lr: float, power: float) -> str:
    """Return γ_0 (k + 1)^(−q) as text."""
    return f"{lr:g}" if power == 0 else f"{lr:g} (k+1)^-{power:g}"
