"""Networks as data: shapes, weights, and words that make no sense."""

import itertools
import math

import numpy as np
import pytest

from benchmarks.harness import networks


def test_the_shapes_follow_from_the_words():
    words = ["conv 6 5", "relu", "max-pool 2", "valid-conv 4 2", "dense 9", "relu", "dense classes"]
    layers = networks.layers(words, (7, 10, 2), classes=3)
    shapes = [layer.output_shape for layer in layers]
    assert shapes == [(7, 10, 6), (7, 10, 6), (3, 5, 6), (2, 4, 4), (9,), (9,), (3,)]
    assert all(a.output_shape == b.input_shape for a, b in itertools.pairwise(layers))


WRONG = ["convolution 3 3", "valid-conv 3 9", "max-pool 3 2"]
WRONG += ["conv 3", "conv 3 2", "conv -3 3", "max-pool two", "max-pool 9", "dense 2.5", "relu 1"]


@pytest.mark.parametrize("words", WRONG)
def test_a_layer_that_makes_no_sense_is_named(words):
    with pytest.raises(ValueError, match=words):
        networks.layers([words, "dense classes"], (8, 8, 1), classes=3)


@pytest.mark.parametrize("words", [["dense 5", "conv 3 3"], ["dense 4"], ["relu"], []])
def test_a_network_that_makes_no_sense_is_refused(words):
    with pytest.raises(ValueError, match="network"):
        networks.layers(words, (8, 8, 1), classes=3)


def test_the_weights_are_drawn_as_he_et_al_do():
    layers = networks.layers(["conv 64 3", "relu", "dense 300", "dense classes"], (8, 8, 5), 3)
    weights = networks.initial_weights(layers, seed=1)
    assert [kernel.shape for kernel, _ in weights] == [(3, 3, 5, 64), (8 * 8 * 64, 300), (300, 3)]
    for kernel, bias in weights:
        assert kernel.dtype == bias.dtype == np.float32
        assert bias.shape == kernel.shape[-1:]
        assert not bias.any()
        inputs = math.prod(kernel.shape[:-1])
        # 3.5 standard deviations of the sample variance.
        assert kernel.var() == pytest.approx(2 / inputs, rel=3.5 * math.sqrt(2 / kernel.size))
    np.testing.assert_array_equal(networks.initial_weights(layers, 1)[0][0], weights[0][0])
    assert (networks.initial_weights(layers, 2)[0][0] != weights[0][0]).any()
