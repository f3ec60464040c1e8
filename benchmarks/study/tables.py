"""The tables of the study, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.harness.tables import table
from benchmarks.study import summary
from benchmarks.study.parts import ADAMS, CONTROLS, MOMENTA, PARTS, SGDS, Untuned, learning_rate
from benchmarks.study.record import Record, Row

NEAR = (1, 3)  # percent
PEERS = ("AdEMAMix", "Muon", "schedule-free AdamW")
# What tells the damping from the order of averaging and scaling.
DAMPINGS = ("DampedAdamW", "QHAdam", "DampedAdamW, damping 1 − β1²", "NAdamW")
OURS = "INDIAN"  # what the untuned methods are compared with


def overview(record: Record, families: Sequence[str], others: Sequence[str] = ()) -> str:
    """Return the table of the front: each method's best, and its grid's shares near the best.

    Args:
        record: The runs.
        families: The methods whose grids are compared.
        others: More methods, whose best is shown.
    """
    columns: dict[str, dict[str, str]] = {name: {"": name} for name in (*families, *others)}
    for steps in summary.lengths(record):
        near = shares(record, steps, families)
        found = summary.methods(record, steps)
        for name, row in columns.items():
            label = f"{steps:,} steps: test loss (β1)"
            row[label] = _lowest(record, steps, name) if name in found else ""
            if near:
                row[f"grid near it, {steps:,}"] = near.get(name, "")
    return table(list(columns.values()))


def _lowest(record: Record, steps: int, name: str) -> str:
    found = summary.best(record, steps, name)
    at = "" if found.row.momentum is None else f" ({found.row.momentum:g})"
    return found.of("test loss").text() + at


def shares(record: Record, steps: int, family: Sequence[str]) -> dict[str, str]:
    """Return, for each method, the shares of its grid near the lowest loss of all the grids.

    There are none where some momenta are missing.
    """
    grids = summary.grid(record, steps, family)
    if any({momentum for momentum, _ in losses} != set(MOMENTA) for losses in grids.values()):
        return {}
    lowest = min(loss for losses in grids.values() for loss in losses.values())
    return {
        name: ", ".join(f"{100 * summary.share(losses.values(), lowest, p):.0f} %" for p in NEAR)
        for name, losses in grids.items()
    }


def best(record: Record, steps: int) -> str:
    """Return a table of each method's best at a length: training beside test."""
    rows = []
    for name in summary.methods(record, steps):
        found = summary.best(record, steps, name)
        rows.append(
            {
                f"{steps:,} steps": name,
                "momentum": "" if found.row.momentum is None else f"{found.row.momentum:g}",
                "learning rate": f"{learning_rate(name, found.row.momentum, found.rate):.2g}",
                "training loss": found.of("train loss").text(),
                "test loss": found.of("test loss").text(),
                "test, % right": _percent(found.runs),
                "runs": str(len(found.runs)),
            }
        )
    return table(rows)


def momenta(record: Record, steps: int, names: Sequence[str]) -> str:
    """Return a table of the validation loss at each momentum's best rate, and of that rate."""
    rows: dict[float | None, dict[str, str]] = {}
    for row in summary.rows(record, steps, names):
        found = summary.best_rate(record, row)
        rate = learning_rate(row.method, row.momentum, found.rate)
        text = f"{found.searched:.3f} at {rate:.2g}"
        again = record.reruns(row, found.rate)
        if again:
            mean = summary.Estimate.of(run["validation loss"] for run in again)
            text += f"; {mean.text()}" + (f" ({mean.count})" if mean.count > 1 else "")
        label = f"{steps:,} steps, momentum"
        rows.setdefault(row.momentum, {label: f"{row.momentum:g}"} | dict.fromkeys(names, ""))
        rows[row.momentum][row.method] = text
    return table(list(rows.values()))


def untuned(record: Record, part: Untuned) -> str:
    """Return a table of a part that is not tuned, with what `OURS` is against each other row."""
    (ours,) = [each for each in part.rows if each[0] == OURS]

    def runs(row: tuple[str, float | None, float]) -> list[summary.Run]:
        name, momentum, rate = row
        return list(record.reruns(Row(part.steps, name, momentum, "flat"), rate))

    rows = []
    for row in part.rows:
        made = runs(row)
        if not made:
            continue
        against = {
            quantity: summary.difference(runs(ours), made, quantity)
            for quantity in ("train loss", "test loss")
        }
        rows.append(
            {
                f"{record.head['workload']}, {part.steps:,} steps": _named(row),
                "training loss": summary.Estimate.of(r["train loss"] for r in made).text(),
                "test loss": summary.Estimate.of(r["test loss"] for r in made).text(),
                "test, % right": _percent(made),
                f"{_named(ours)} is, in training": _judged(against["train loss"], row == ours),
                "in the test": _judged(against["test loss"], row == ours),
            }
        )
    return table(rows)


def _named(row: tuple[str, float | None, float]) -> str:
    name, momentum, rate = row
    return f"{name.removesuffix(', untuned')}, lr {learning_rate(name, momentum, rate):g}"


def _judged(found: summary.Estimate, same: bool) -> str:
    return "" if same else summary.verdict(found)


def _percent(runs: Sequence[summary.Run]) -> str:
    accuracies = [r["test accuracy"] for r in runs]
    return summary.Estimate.of(a if a is None else 100 * a for a in accuracies).text(".1f")


def page(records: Mapping[str, Record]) -> str:
    """Return the page of all tables."""
    parts = [PAGE]
    for record in records.values():
        if summary.lengths(record):
            parts.append(f"## The {record.head['workload']}\n\nData: {record.head['data']}.")
        for steps in summary.lengths(record):
            parts.append(best(record, steps))
            for family in (ADAMS, CONTROLS, SGDS):
                if len({row.method for row in summary.rows(record, steps, family)}) > 1:
                    parts.append(momenta(record, steps, family))
    parts.append(UNTUNED)
    for part in PARTS.values():
        if isinstance(part, Untuned) and _made(records, part):
            parts.append(untuned(records[part.workload], part))
    return "\n\n".join(parts)


def _made(records: Mapping[str, Record], part: Untuned) -> bool:
    record = records.get(part.workload)
    return record is not None and any(row.schedule == "flat" for row in record.rows(part.steps))


PAGE = """# The study's tables

`python -m benchmarks.study --draw` prints this page from the files in `docs/results`.
[What was found](evidence.md) is the summary.

Each momentum's rates are octaves on one seed, until the best by the validation loss lies between
two worse ones; in some rows also the half octaves beside it. SGD's are octaves of lr/(1 − m). The
best are run again from other seeds. All have the same warm-up (on the text 2 steps of 100, on the
images 5) and a cosine down to a twentieth, but for schedule-free AdamW, whose rate is constant.
Gradients are clipped at 1 on the text. Weight decay is 0.1, but SGD has none, and β2 is 0.99.

For each method and length, the first table has the momentum and the learning rate with the lowest
validation loss on one seed, and the means and standard errors of runs from other seeds ("one run":
there was no time for others, or for one alone). The second has each momentum's lowest validation
loss and its learning rate; after the semicolon, the mean, its standard error and the number of runs
from other seeds."""
UNTUNED = """## Untuned

No search, no schedule and no warm-up: the rates that a script begins with. A difference is clear if
it is more than twice its standard error over five seeds."""
