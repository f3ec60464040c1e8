"""A function in a process of its own: its result, its steps, its environment and its failures."""

import os

import pytest

from benchmarks.harness import apart


class Bar:
    steps = 0

    def update(self, steps):
        self.steps += steps


def add(one, other, on_steps):
    for _ in range(3):
        on_steps(other)
    return one + other, os.getpid(), os.environ["COLOUR"]


def fail(on_steps):
    on_steps(1)
    raise KeyError("no such thing")


def vanish(on_steps):
    os._exit(7)


def test_the_result_comes_from_another_process_with_another_environment(monkeypatch):
    monkeypatch.setenv("COLOUR", "red")
    bar = Bar()
    total, process, colour = apart.call(add, 2, 5, environment={"COLOUR": "blue"}, bar=bar)
    assert (total, colour, bar.steps) == (7, "blue", 15)
    assert process != os.getpid()
    assert os.environ["COLOUR"] == "red"


def test_an_exception_is_reported_with_the_function():
    with pytest.raises(RuntimeError, match=r"test_apart\.fail: KeyError: 'no such thing'"):
        apart.call(fail, environment={}, bar=Bar())


def test_a_process_that_vanishes_is_reported():
    with pytest.raises(RuntimeError, match=r"test_apart\.vanish: .* exit status 7"):
        apart.call(vanish, environment={}, bar=Bar())


def test_on_the_cpu_no_framework_sees_a_gpu_and_elsewhere_it_does():
    cpu = apart.environment("keras", "cpu", "jax")
    assert cpu["KERAS_BACKEND"] == "jax"
    assert (cpu["CUDA_VISIBLE_DEVICES"], cpu["JAX_PLATFORMS"]) == ("", "cpu")
    cuda = apart.environment("torch", "cuda", "")
    assert not {"KERAS_BACKEND", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"} & set(cuda)
