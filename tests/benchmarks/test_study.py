"""The study: searches that end between two worse rates, files that resume, what the page says."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.study import __main__ as study
from benchmarks.study import parts, picture, search, summary, tables, training
from benchmarks.study.parts import PARTS, Part, Untuned
from benchmarks.study.record import Record, Row
from benchmarks.study.workloads import load

from . import commands

ROW = Row(100, "AdamW", 0.9, "cosine")
FILES = sorted(commands.RESULTS.glob("study-*.json"))


def searched(
    loss: Callable[[int], float], first: tuple[int, ...] = (-4, -2, 0)
) -> dict[int, float]:
    losses: dict[int, float] = {}
    while places := search.wanted(losses, first, halves=True):
        assert not losses.keys() & set(places)
        losses |= {k: loss(k) for k in places}
    return losses


@pytest.mark.parametrize("best", [-11, -8, -3, 0, 1, 9])
def test_a_search_goes_on_until_its_best_is_between_two_worse(best: int) -> None:
    losses = searched(lambda k: abs(k - best))
    assert not search.at_edge(losses)
    assert search.winner(losses) == best


def test_a_search_leaves_the_rates_that_diverge() -> None:
    losses = searched(lambda k: math.inf if k > -9 else -k)
    assert search.winner(losses) == -9
    assert not search.at_edge(losses)
    # A loss that falls forever has no best rate, and the search says so.
    losses = searched(lambda k: -k)
    assert len(losses) >= search.MOST
    assert search.at_edge(losses)


def test_rates_are_half_octaves() -> None:
    for k in range(-12, 17):
        assert search.place(search.rate(k)) == k
    assert search.rate(2) == 2 * search.rate(0)
    with pytest.raises(ValueError, match="Invalid rate"):
        search.place(0.012)


def recorded(folder: Any, losses: dict[int, float], row: Row = ROW) -> Record:
    record = Record(folder / "study-text.json", {"workload": "some", "data": "some"})
    for k, loss in losses.items():
        ends = dict.fromkeys(training.NAMES, loss)
        record.add(row, search.rate(k), 0, ends)
    return record


def test_a_best_rate_at_an_edge_is_refused(tmp_path: Any) -> None:
    inside = recorded(tmp_path, {-2: 1.2, 0: 1.0, 2: 1.1})
    assert summary.best_rate(inside, ROW).rate == 0.01
    for losses in ({-2: 1.2, 0: 1.1, 2: 1.0}, {-2: 1.0, 0: 1.1}, {0: math.nan, 2: math.nan}):
        record = recorded(tmp_path, losses)
        with pytest.raises(ValueError, match="at the edge"):
            summary.best_rate(record, ROW)
        with pytest.raises(ValueError, match="at the edge"):
            summary.best(Record.read(record.path), ROW.steps, ROW.method)


def test_the_share_of_a_grid_counts_what_diverged_on_equal_rates(tmp_path: Any) -> None:
    record = recorded(tmp_path, {-4: 1.5, -2: 1.02, -1: 1.0, 0: 1.0, 2: math.nan})
    other = ROW._replace(method="NAdamW")
    for k in (-2, 0, 2, 4):
        record.add(other, search.rate(k), 0, dict.fromkeys(training.NAMES, 1.5))
    found = summary.grid(record, ROW.steps, ["AdamW", "NAdamW"])
    assert set(found["AdamW"]) == set(found["NAdamW"]) == {(0.9, -2), (0.9, 0), (0.9, 2)}
    assert summary.share(found["AdamW"].values(), 1.0, 1) == pytest.approx(1 / 3)
    assert summary.share(found["AdamW"].values(), 1.0, 3) == pytest.approx(2 / 3)


def test_differences_are_of_equal_seeds_and_judged_by_twice_their_error() -> None:
    def runs(*losses: float | None) -> list[dict[str, Any]]:
        return [{"seed": seed, "loss": loss} for seed, loss in enumerate(losses)]

    found = summary.difference(runs(1.0, 2.0, 3.0), runs(1.5, 2.4, 3.6, 9.0), "loss")
    assert found.mean == pytest.approx(-0.5)
    assert found.count == 3
    assert summary.verdict(found) == "clearly better"
    assert summary.verdict(summary.Estimate(0.5, 0.2, 5)) == "clearly worse"
    assert summary.verdict(summary.Estimate(0.5, 0.3, 5)) == "indistinguishable"
    diverged = summary.difference(runs(1.0, None), runs(1.0, 2.0), "loss")
    assert diverged.text() == "diverged"


@pytest.mark.parametrize("schedule", ["cosine", "constant", "flat"])
def test_rates_rise_first_and_a_cosine_falls_to_five_percent(schedule: str) -> None:
    found = training.factors(schedule, 1000, 0.02)
    assert found.shape == (1000,)
    assert found.max() == 1
    assert found[0] == (1 if schedule == "flat" else pytest.approx(1 / 21))
    assert found[-1] == pytest.approx(0.05 if schedule == "cosine" else 1, abs=1e-4)


def test_the_transformer_sees_no_text_twice() -> None:
    workload = load("text", None)
    longest = max(part.steps for part in PARTS.values() if part.workload == "text")
    for seed in (0, 1):
        batches = workload.batches(seed, longest)
        assert batches.shape == (longest, 16)
        assert len(np.unique(batches)) == batches.size
    assert all(len(samples[0]) == 2000 for samples in workload.measured.values())


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (("AdamW", 0.9), ("DampedAdamW", 0.97))
    part = Part("digits", 60, rows, (0, 2), row_seeds=(1,), seeds=(1, 2))
    monkeypatch.setitem(PARTS, "small", part)
    monkeypatch.setitem(PARTS, "small-untuned", Untuned("digits", 20, seeds=(1, 2)))


def stopping_after(count: int, function: Any) -> Any:
    calls = iter(range(count))

    def stopping(*arguments: Any) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        function(*arguments)

    return stopping


def test_a_stopped_study_goes_on_and_ends_the_same(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    arguments = ["small", "small-untuned", "--output", str(tmp_path)]
    study.main(arguments)
    path = tmp_path / "study-digits.json"
    whole = json.loads(path.read_text())
    record = Record.read(path)
    for row in study.rows(PARTS["small"]):
        found = summary.best_rate(record, row)
        assert {run["seed"] for run in found.runs} >= {1}
    assert len(summary.best(record, 60, "AdamW").runs) == 2
    assert sum(run["schedule"] == "flat" for run in record) == 10

    path.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "add", stopping_after(5, Record.add))
        with pytest.raises(KeyboardInterrupt):
            study.main(arguments)
    assert len(list(Record.read(path))) == 5
    study.main(arguments)
    assert json.loads(path.read_text()) == whole

    monkeypatch.setattr(training, "Program", None)  # nothing is left to make
    study.main(arguments)


def test_another_file_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    path = tmp_path / "study-digits.json"
    path.write_text(json.dumps({"workload": "perceptron", "data": "others", "runs": []}))
    with pytest.raises(SystemExit, match="Invalid data"):
        study.main(["small", "--output", str(tmp_path)])


def test_a_diverged_run_ends_early_and_counts() -> None:
    steps: list[int] = []
    program = training.Program(load("digits", None), 100, "INDIAN", None, "cosine")
    assert all(math.isnan(loss) for loss in program(1e9, 0, steps.append).values())
    assert sum(steps) < 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_committed_best_rate_is_at_an_edge(path: Any) -> None:
    record = Record.read(path)
    for row in record.rows():
        if row.schedule != "flat":
            summary.best_rate(record, row)


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    paths = {name: commands.RESULTS / f"study-{name}.json" for name in parts.WORKLOADS}
    return {name: Record.read(path) for name, path in paths.items() if path.exists()}


def by_momentum(record: Record, steps: int, name: str) -> list[float]:
    """Return the lowest validation loss of each momentum."""
    rows = summary.rows(record, steps, [name])
    return [summary.best_rate(record, row).searched for row in rows]


def again(record: Record, steps: int, name: str, seed: int) -> list[float]:
    """Return the validation loss from another seed at each momentum's best rate."""
    best = (summary.best_rate(record, row) for row in summary.rows(record, steps, [name]))
    return [record.run(each.row, each.rate, seed)["validation loss"] for each in best]


def lower(record: Record, steps: int, ours: str, theirs: str) -> str:
    """Return by how much the test loss of one method's best is below that of another's."""
    runs = [summary.best(record, steps, name).runs for name in (ours, theirs)]
    return summary.difference(*reversed(runs), "test loss").text()


def at_default(record: Record, steps: int) -> str:
    """Return INDIAN's and Adam's test losses where nothing is tuned; INDIAN's is clearly lower."""
    ours, theirs = (
        record.reruns(Row(steps, name, momentum, "flat"), rate)
        for name, momentum, rate in (("INDIAN", None, 0.1), ("Adam", 0.9, 0.001))
    )
    found = summary.difference(ours, theirs, "test loss")
    assert found.count == len(parts.SEEDS)
    assert summary.verdict(found) == "clearly better"
    means = (summary.Estimate.of(run["test loss"] for run in runs).mean for runs in (ours, theirs))
    return " against ".join(f"{mean:.3f}" for mean in means)


def said(records: dict[str, Record]) -> dict[str, str]:
    """Return what the page says with figures, from the files."""
    text, images = records["text"], records["images"]
    adamw, nadamw, damped = (by_momentum(text, 4000, name) for name in parts.ADAMS)
    short = [by_momentum(text, 1000, name) for name in parts.ADAMS]
    long = {name: by_momentum(text, 16_000, name) for name in parts.ADAMS}
    nesterov, quasi = (by_momentum(text, 4000, name) for name in parts.CONTROLS[::2])
    sgd, damped_sgd = (by_momentum(images, 2000, name) for name in parts.SGDS)
    two, three, ours = (
        summary.best(text, 4000, name).searched
        for name in ("AdEMAMix, scaled by rows and columns", "AdEMAMix", "DampedAdamW")
    )
    low, high = (
        [text.losses(row)[search.place(rate)] for row in summary.rows(text, 4000, ["DampedAdamW"])]
        for rate in (0.0025, 0.04)
    )
    return {
        "within": "within {} % and {} %".format(*tables.NEAR),
        "AdamW's loss rises": f"AdamW's loss rises from {adamw[0]:.3f} to {adamw[-1]:.3f}",
        "NAdamW's from": f"NAdamW's from {nadamw[0]:.3f} to {nadamw[-1]:.3f}",
        "DampedAdamW's stays": "DampedAdamW's stays between "
        f"{min(damped):.3f} and {max(damped):.3f}",
        "Another seed's": "Another seed's runs at these rates end at {:.3f}, {:.3f} and {:.3f} at "
        "most".format(*(max(again(text, 4000, name, 1)) for name in parts.ADAMS)),
        "short": f"AdamW {short[0][0]:.3f} to {max(short[0]):.3f}, "
        f"NAdamW {short[1][0]:.3f} to {max(short[1]):.3f}, "
        f"DampedAdamW {short[2][0]:.3f} to {short[2][-1]:.3f}",
        "It is the damping": f"With Nesterov's damping the loss rises to {nesterov[-1]:.3f}. "
        f"QHAdam's stays between {min(quasi):.3f} and {max(quasi):.3f}",
        "0.97 costs": f"0.97 costs {short[2][1] - short[2][0]:.3f} and 0.997 "
        f"{short[2][3] - short[2][0]:.3f}",
        "long": "AdamW's loss is {:.3f}, {:.3f}, {:.3f} and {:.3f}".format(*long["AdamW"]),
        "long, damped": "DampedAdamW's is {:.3f}, {:.3f}, {:.3f} and {:.3f}".format(
            *long["DampedAdamW"]
        ),
        "AdamW 16000": f"AdamW's by {lower(text, 16_000, 'DampedAdamW', 'AdamW')} and than "
        f"NAdamW's by {lower(text, 16_000, 'DampedAdamW', 'NAdamW')}",
        "SGD's loss goes": f"SGD's loss goes from {sgd[0]:.3f} to {sgd[1]:.3f} and {sgd[2]:.3f}",
        "DampedSGD's from": f"DampedSGD's from {damped_sgd[0]:.3f} to {damped_sgd[1]:.3f} and "
        f"{damped_sgd[2]:.3f}",
        "at nine": f"{damped[0]:.3f} against {nadamw[0]:.3f}",
        "it rises": f"rises from {low[0]:.3f} to {low[-1]:.3f} at 0.0025",
        "it falls": f"at 0.04 it falls from {high[0]:.3f} to {high[2]:.3f} with 0.99, and is "
        f"{high[3]:.3f} with 0.997",
        "NAdamW 1000": f"NAdamW's by {lower(text, 1000, 'DampedAdamW', 'NAdamW')} after 1,000 "
        "steps",
        "NAdamW 4000": f"NAdamW's by {lower(text, 4000, 'DampedAdamW', 'NAdamW')}",
        "AdamW 4000": f"AdamW's by {lower(text, 4000, 'DampedAdamW', 'AdamW')}",
        "differ": f"differ by {lower(images, 2000, 'DampedSGD', 'SGD, Nesterov')}".replace(
            "-0", "0"
        ),
        "AdEMAMix is lower": f"by {lower(text, 4000, 'AdEMAMix', 'DampedAdamW')}",
        "AdEMAMix 16000": f"by {lower(text, 16_000, 'AdEMAMix', 'DampedAdamW')}",
        "two buffers": f"in two buffers {two:.3f}, AdEMAMix itself {three:.3f}, DampedAdamW "
        f"{ours:.3f}",
        "normalisation": f"normalisation {at_default(images, 2000)}",
        "digits": f"digits {at_default(records['digits'], 1000)}",
        "transformer": f"transformer {at_default(text, 1000)}",
    }


def test_every_figure_of_the_page_is_in_the_files(records: dict[str, Record]) -> None:
    docs, text = commands.RESULTS.parent, records["text"]
    page = "".join((docs / f"{name}.md").read_text() for name in ("evidence", "evidence-details"))
    assert tables.overview(text, parts.ADAMS, tables.PEERS) in page
    assert tables.momenta(text, 4000, tables.DAMPINGS) in page
    prose = " ".join(line for line in page.splitlines() if not line.startswith(("|", "!")))
    prose = " ".join(prose.split())
    for sentence in said(records).values():
        assert sentence in prose
        prose = prose.replace(sentence, "")
    prose = prose.replace("0.997", "")  # a momentum, not a loss
    assert re.findall(r"\d\.\d{3}|\d %|± ", prose) == []


def test_the_tables_and_pictures_are_those_of_the_files(records: dict[str, Record]) -> None:
    page = (commands.RESULTS.parent / "evidence-tables.md").read_text()
    assert page == tables.page(records) + "\n"
    (axes,) = picture.front(records["text"], 4000).axes
    low, high = axes.get_ylim()
    assert [line.get_label() for line in axes.lines] == list(picture.FRONT)
    for line in axes.lines:
        assert all(low < loss < high for loss in line.get_ydata())
    assert len(picture.grids(records).axes) > len(parts.ADAMS)
