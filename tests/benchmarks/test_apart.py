"""A function in a process of its own: its result, its steps, its environment and its failures."""

import os
import time

import pytest

from benchmarks.harness import apart, workers


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


def one_of(job, processors):
    if job < 0:
        raise ValueError(job)
    time.sleep(0.01 * job)
    return tuple(processors)


def test_several_jobs_share_the_processors_and_come_as_they_are_done():
    found = list(apart.several(one_of, [30, 1, 2], 2))
    assert [job for job, _ in found] == [1, 2, 30]
    if hasattr(os, "sched_getaffinity"):
        assert {one for _, share in found for one in share} <= os.sched_getaffinity(0)


def test_a_job_that_fails_ends_the_others():
    with pytest.raises(ValueError, match="-1"):
        list(apart.several(one_of, [-1, *[1] * 1000], 1))


@pytest.mark.parametrize(
    ("function", "words"), [(fail, "KeyError: 'no such thing'"), (vanish, "exit status 7")]
)
def test_a_process_that_fails_is_reported_with_its_function(function, words):
    with pytest.raises(RuntimeError, match=rf"{function.__name__}: .*{words}"):
        apart.call(function, environment={}, bar=Bar())


def test_on_the_cpu_no_framework_sees_a_gpu_and_elsewhere_it_does(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    cpu = workers.environment("keras", "cpu")
    assert cpu["KERAS_BACKEND"] == "jax"
    assert (cpu["CUDA_VISIBLE_DEVICES"], cpu["JAX_PLATFORMS"]) == ("", "cpu")
    cuda = workers.environment("torch", "cuda")
    assert not {"KERAS_BACKEND", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"} & set(cuda)
