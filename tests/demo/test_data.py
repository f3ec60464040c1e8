"""The images: IDX files whole and broken, the digits, and the minibatch order."""

import shutil

import numpy as np
import pytest

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
    with pytest.raises(FileNotFoundError, match=r"Invalid data: 'no/such' \(there is no such"):
        data.load("no/such")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path, name):
    write_folder(tmp_path)
    (file,) = tmp_path.glob(f"{name}*")
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"Invalid data: .*it has no {file.name} or"):
        data.load(str(tmp_path))


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no train-images-idx3-ubyte or"):
        data.load(str(tmp_path))


@pytest.mark.parametrize("kept", [0, 3, 9, 20])
def test_a_file_cut_short_is_an_error(tmp_path, kept):
    write_folder(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"Invalid data: '.*train-images-idx3-ubyte' \("):
        data.load(str(tmp_path))


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"<html>" + raw])
def test_a_broken_gzip_file_is_an_error(tmp_path, damage):
    write_folder(tmp_path, ".gz")
    file = tmp_path / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte.gz' \(not a whole gzip file"):
        data.load(str(tmp_path))


def test_extra_bytes_are_an_error(tmp_path):
    write_folder(tmp_path)
    file = tmp_path / "train-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="takes 12 bytes, it has 13"):
        data.load(str(tmp_path))


def test_images_and_labels_must_be_as_many(tmp_path):
    write_folder(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(11))
    with pytest.raises(ValueError, match=r"shape is \(11,\) for the 12 images"):
        data.load(str(tmp_path))


def test_labels_in_the_place_of_images_are_an_error(tmp_path):
    write_folder(tmp_path)
    shutil.copy(tmp_path / "train-labels-idx1-ubyte", tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte' \(its shape is \(12,\)"):
        data.load(str(tmp_path))


def test_training_and_test_images_must_be_of_one_size(tmp_path):
    write_folder(tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((5, 3, 4)))
    with pytest.raises(ValueError, match=r"training images are \(4, 3\) .* \(3, 4\)"):
        data.load(str(tmp_path))


def test_the_digits_are_split_once_and_for_all():
    pytest.importorskip("sklearn", reason="the digits need scikit-learn")
    dataset = data.load()
    assert dataset.train_images.shape == (1437, 8, 8, 1)
    assert dataset.test_images.shape == (360, 8, 8, 1)
    assert (dataset.train_images.min(), dataset.train_images.max()) == (0, 1)
    # A stratified or an unshuffled split would miss some of these.
    counts = np.bincount(dataset.test_labels, minlength=10)
    assert counts.sum() == 360
    assert counts.min() >= 20
    both = np.concatenate([dataset.train_images, dataset.test_images])
    from sklearn.datasets import load_digits

    everything = np.sort(load_digits().data.astype(np.float32), axis=0)
    np.testing.assert_array_equal(np.sort(both.reshape(1797, 64) * 16, axis=0), everything)


def test_minibatches_are_a_fixed_permutation_of_each_epoch():
    first = data.minibatches(10, 3, seed=5, epoch=1)
    assert first.shape == (3, 3)
    assert len(np.unique(first)) == 9
    np.testing.assert_array_equal(first, data.minibatches(10, 3, seed=5, epoch=1))
    assert (first != data.minibatches(10, 3, seed=5, epoch=2)).any()
    assert (first != data.minibatches(10, 3, seed=6, epoch=1)).any()


@pytest.mark.parametrize("batch_size", [0, 11])
def test_a_batch_size_beyond_the_samples_is_an_error(batch_size):
    with pytest.raises(ValueError, match=f"Invalid batch_size: {batch_size} "):
        data.minibatches(10, batch_size, seed=0, epoch=1)
