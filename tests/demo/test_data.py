"""The images: MNIST's files whole and broken, the digits, and the minibatch order."""

import shutil

import numpy as np
import pytest
from sklearn.datasets import load_digits

from benchmarks.harness import data

from .idx import NAMES, write_folder, write_idx


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("joint", ["-", "."])
def test_idx_files_are_read_whole(tmp_path, suffix, joint):
    arrays = write_folder(tmp_path, suffix, joint)
    dataset = data.load(str(tmp_path))
    assert dataset.name == tmp_path.name
    for images, pixels in [(dataset.train_images, arrays[0]), (dataset.test_images, arrays[2])]:
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images[..., 0], (pixels / 255).astype(np.float32))
    np.testing.assert_array_equal(dataset.train_labels, arrays[1])
    np.testing.assert_array_equal(dataset.test_labels, arrays[3])
    assert dataset.classes == max(arrays[1].max(), arrays[3].max()) + 1


def test_a_missing_folder_is_named():
    with pytest.raises(FileNotFoundError, match="no/such"):
        data.load("no/such")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path, name):
    write_folder(tmp_path)
    (file,) = tmp_path.glob(f"{name}*")
    file.unlink()
    with pytest.raises(FileNotFoundError, match=file.name):
        data.load(str(tmp_path))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DAMAGES = {
    "cut short": (IMAGES, "", lambda file: file.write_bytes(file.read_bytes()[:20])),
    "cut in its header": (IMAGES, "", lambda file: file.write_bytes(file.read_bytes()[:9])),
    "empty": (IMAGES, "", lambda file: file.write_bytes(b"")),
    "too long": (LABELS, "", lambda file: file.write_bytes(file.read_bytes() + b"\0")),
    "labels": (IMAGES, "", lambda file: shutil.copy(file.with_name(LABELS), file)),
    "too few": (LABELS, "", lambda file: write_idx(file, np.zeros(11))),
    "a page": (IMAGES, ".gz", lambda file: file.write_bytes(b"<html>" + file.read_bytes())),
    "half a gzip": (IMAGES, ".gz", lambda file: file.write_bytes(file.read_bytes()[:-9])),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_file_is_named(tmp_path, damage):
    name, suffix, make = DAMAGES[damage]
    write_folder(tmp_path, suffix)
    make(tmp_path / (name + suffix))
    with pytest.raises(ValueError, match=name):
        data.load(str(tmp_path))


def test_training_and_test_images_must_be_of_one_size(tmp_path):
    write_folder(tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((5, 3, 4)))
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(3, 4\)"):
        data.load(str(tmp_path))


def test_the_digits_are_split_once_and_for_all():
    dataset = data.load()
    assert dataset.train_images.shape == (1437, 8, 8, 1)
    assert dataset.test_images.shape == (360, 8, 8, 1)
    # A stratified or an unshuffled split would miss some of these.
    assert np.bincount(dataset.test_labels, minlength=10).min() >= 20
    both = np.concatenate([dataset.train_images, dataset.test_images])
    everything = np.sort(load_digits().data.astype(np.float32), axis=0)
    np.testing.assert_array_equal(np.sort(both.reshape(1797, 64) * 16, axis=0), everything)


def test_minibatches_are_a_fixed_permutation_of_each_epoch():
    first = data.minibatches(10, 3, seed=5, epoch=1)
    assert first.shape == (3, 3)
    assert len(np.unique(first)) == 9
    np.testing.assert_array_equal(first, data.minibatches(10, 3, seed=5, epoch=1))
    assert (first != data.minibatches(10, 3, seed=5, epoch=2)).any()
    assert (first != data.minibatches(10, 3, seed=6, epoch=1)).any()
    for batch_size in (0, 11):
        with pytest.raises(ValueError, match="batch_size"):
            data.minibatches(10, batch_size, seed=0, epoch=1)
