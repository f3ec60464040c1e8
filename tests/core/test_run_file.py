"""Runs in files: what is written is read, what cannot be a run is refused, layouts move."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="files of runs need safetensors")

from indian_core.runs.file import Parameter, Run, load, save
from indian_core.runs.layouts import ORDERS, Entry, Move, axes, moved, paired

RANDOM = np.random.default_rng(0)


def parameter(shape: tuple[int, ...], dtype: str = "float64", **fields: Any) -> Parameter:
    theta, w, v = (np.asarray(RANDOM.standard_normal(shape), dtype) for _ in range(3))
    return Parameter(theta, w, squares=v**2, **fields)


def run() -> Run:
    groups = tuple(
        {"lr": lr, "alpha": 0.1, "beta": 0.9, "sigma": 0.99, "eps": 1e-8, "weight_decay": 0.0}
        for lr in (0.1, 0.01)
    )
    parameters = {
        "a": parameter((2, 3), scale=-0.5, steps=7),
        "b": parameter((3,), "float32", begun=False, group=1)._replace(
            momentum=np.zeros(3, np.float32)
        ),
    }
    return Run("INNAprop", groups, parameters, 12)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    before = run()
    before = before._replace(parameters=before.parameters | {"c": parameter(())})
    save(path, before)
    after = load(path)
    assert after._replace(parameters={}) == before._replace(parameters={})
    for name, old in before.parameters.items():
        new = after.parameters[name]
        for field in ("theta", "momentum", "squares"):
            np.testing.assert_array_equal(getattr(new, field), getattr(old, field), strict=True)
        assert new[2:3] + new[4:] == old[2:3] + old[4:]
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r._replace(method="Adam"), "method"),
        (lambda r: r._replace(method="INDIAN"), "INDIAN"),
        (lambda r: r._replace(groups=r.groups[:1]), "group 1"),
        (lambda r: r._replace(groups=({"lr": -1.0}, {})), "learning rate"),
        (lambda r: _with(r, momentum=np.zeros(3)), "shapes"),
        (lambda r: _with(r, scale=0.0), "scale"),
        (lambda r: _with(r, begun=False), "begun"),
        (lambda r: _with(r, squares=-np.ones((2, 3))), r"\bV\b"),
        (lambda r: _with(r, theta=np.ones((2, 3)) + 1j), "complex"),
        (lambda r: _with(r, steps=0.5), "0.5"),
        (lambda r: r._replace(step=-1), "step"),
        (lambda r: r._replace(parameters={}), "parameters"),
    ],
)
def test_what_cannot_be_a_run_is_not_written(tmp_path: Path, change: Any, words: str) -> None:
    path = tmp_path / "run.safetensors"
    save(path, run())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=words):
        save(path, change(run()))
    assert path.read_bytes() == before


def _with(old: Run, **fields: Any) -> Run:
    return old._replace(parameters=dict(old.parameters, a=old.parameters["a"]._replace(**fields)))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda path: save(path, run()), load):
        with pytest.raises(ImportError, match="pip install safetensors"):
            call(tmp_path / "run.safetensors")


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, part: float) -> None:
    path = tmp_path / "run.safetensors"
    save(path, run())
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match="Invalid run file"):
        load(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h | {"version": 2}, "version 2"),
        (lambda h: {k: v for k, v in h.items() if k != "method"}, "method"),
        (lambda h: h | {"parameters": h["parameters"][:1]}, "momentum/b"),
        (lambda h: h | {"parameters": [*h["parameters"], {"name": "c"}]}, "theta/c"),
        (lambda h: h | {"groups": [{"lr": "much"}, {}]}, "learning rate"),
        (lambda h: h | {"groups": ["a", "b"]}, "Invalid run file"),
        (lambda h: h | {"parameters": "ab"}, "Invalid run file"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "run.safetensors"
    save(path, run())
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["indian-run"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata={"indian-run": json.dumps(change(header))})
    with pytest.raises(ValueError, match=words):
        load(path)
    # Each row had θ's dtype once.
    for row in header["parameters"]:
        row["dtype"] = "float32"
    save_file(tensors, path, metadata={"indian-run": json.dumps(header)})
    assert load(path).step == run().step
    save_file(tensors, path)
    with pytest.raises(ValueError, match="no run"):
        load(path)


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("other", ["flax", "torch", "equinox"])
def test_axes_there_and_back(kind: str, other: str) -> None:
    array = RANDOM.standard_normal(range(2, 2 + len(ORDERS[kind]["keras"])))
    there, back = axes(kind, "keras", other), axes(kind, other, "keras")
    np.testing.assert_array_equal(array.transpose(there).transpose(back), array)


def test_layers_are_paired_in_order_by_kind() -> None:
    keras = [
        Entry("conv/kernel", "conv", "convolution 2d"),
        Entry("conv/bias", "conv", "bias"),
        Entry("dense/kernel", "dense", "dense kernel"),
    ]
    torch = [
        Entry("0.bias", "0", "bias"),
        Entry("0.weight", "0", "convolution 2d"),
        Entry("3.weight", "3", "dense kernel"),
    ]
    assert paired(keras, torch, "keras", "torch") == {
        "0.bias": Move("conv/bias"),
        "0.weight": Move("conv/kernel", (3, 2, 0, 1)),
        "3.weight": Move("dense/kernel", (1, 0)),
    }
    with pytest.raises(ValueError, match="layers"):
        paired(keras, torch[:2], "keras", "torch")
    with pytest.raises(ValueError, match="faces one with"):
        paired(keras, [torch[2], torch[0]], "keras", "torch")


def test_a_run_moves_to_other_names_shapes_and_axes() -> None:
    old = run()
    # A dense kernel behind an image of 2 × 1 × 1: torch flattens the channels first.
    table = {"x": Move("a", (1, 0)), "y": Move("b", (1, 0), split=(3, 1))}
    new = moved(old, table, {"x": (3, 2), "y": (3,)})
    for field in ("theta", "momentum", "squares"):
        expected = getattr(old.parameters["a"], field).T
        np.testing.assert_array_equal(getattr(new.parameters["x"], field), expected)
    assert new.parameters["y"].group == 1
    # A bias of an image's shape is one without.
    image = moved(old, {"x": Move("a"), "y": Move("b")}, {"x": (2, 3), "y": (3, 1, 1)})
    assert image.parameters["y"].theta.shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"x": Move("a")}, r"\by\b"),
        ({"x": Move("a"), "y": Move("c")}, r"\bc\b"),
        ({"x": Move("a", (1, 0)), "y": Move("a")}, r"\bb\b"),
        ({"x": Move("a", (1, 0)), "y": Move("b"), "z": Move("b")}, r"\bz\b"),
        (None, "x, y"),
        ({"x": Move("a"), "y": Move("b")}, "shape"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(table: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        moved(run(), table, {"x": (3, 2), "y": (3,)})
