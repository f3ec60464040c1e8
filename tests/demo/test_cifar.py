"""CIFAR's files, in small."""

import pickle

import numpy as np
import pytest

from benchmarks.harness import data


def write(folder, names, key, samples=3):
    """Write CIFAR's files with numbers that tell the plane, the row and the column."""
    plane, row, column = np.meshgrid(range(3), range(32), range(32), indexing="ij")
    image = (50 * plane + row + 2 * column).astype(np.uint8).reshape(-1)
    for i, name in enumerate(names):
        content = {"data": np.stack([image] * samples), key: [i] * samples}
        # As the authors' files were: by Python 2, whose strings are bytes.
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize(
    ("names", "key"),
    [
        ([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], "labels"),
        (["train", "test"], "fine_labels"),
    ],
)
def test_planes_become_channels(tmp_path, names, key):
    write(tmp_path, names, key)
    dataset = data.load(str(tmp_path))
    assert dataset.train_images.shape == (3 * (len(names) - 1), 32, 32, 3)
    assert dataset.train_images.dtype == np.float32
    assert dataset.train_images[0, 4, 9] * 255 == pytest.approx([22, 72, 122])
    assert dataset.test_labels.tolist() == [len(names) - 1] * 3
    assert dataset.name == tmp_path.name
    assert dataset.classes == len(names)


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path, ["test_batch"], "labels")
    with pytest.raises(FileNotFoundError, match="data_batch_1"):
        data.load(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"data": 3})])
def test_what_is_no_file_of_cifars_is_refused(tmp_path, content):
    write(tmp_path, ["train", "test"], "fine_labels")
    (tmp_path / "train").write_bytes(content)
    with pytest.raises(ValueError, match=r"Invalid data: .*train.*not a file of CIFAR's"):
        data.load(str(tmp_path))


class Command:
    """A pickle of this runs a command where it is loaded without care."""

    def __reduce__(self):
        return print, ("loaded",)


def test_a_pickle_that_runs_something_is_refused(tmp_path, capsys):
    write(tmp_path, ["train", "test"], "fine_labels")
    (tmp_path / "test").write_bytes(pickle.dumps(Command()))
    with pytest.raises(ValueError, match=r"it holds a .*print"):
        data.load(str(tmp_path))
    assert capsys.readouterr().out == ""
