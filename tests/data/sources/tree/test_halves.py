"""Trees whose halves differ: classes that one of them lacks, and folders beside train that are no half."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.dataset import DataWarning
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.tree.dataset import read_folder, read_for_measuring
from gpunn.errors import DataError
from tests.data.pictures import write_tree

KEEPING = Splitting(seed=0, keep_empty_classes=True)


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Each half lacks a class of the other, and one class is an empty folder."""
    write_tree(tmp_path / "train", {"ant": 2, "bee": 1, "dog": 0})
    write_tree(tmp_path / "val", {"ant": 1, "cow": 2}, first_seed=50)
    return tmp_path


def test_classes_that_may_be_empty_are_those_of_both_halves(uneven: Path) -> None:
    split = read_folder(uneven, KEEPING)
    assert split.train.classes == split.validation.classes == ("ant", "bee", "cow", "dog")
    assert split.train.labels.tolist() == [0, 0, 1]
    assert split.validation.labels.tolist() == [0, 2, 2]
    assert split.validation.name(1) == f"'{uneven}/val/cow/0.jpg'"


def test_measuring_numbers_the_classes_in_the_same_way(uneven: Path) -> None:
    measured = read_for_measuring(uneven)
    assert measured.classes == ("ant", "bee", "cow", "dog")
    assert measured.labels.tolist() == [0, 2, 2]


def test_each_refusal_leads_to_the_option(uneven: Path) -> None:
    with pytest.raises(DataError, match=r"'dog'.*--set keep_empty_classes=true"):
        read_folder(uneven, Splitting(seed=0))
    (uneven / "train" / "dog").rmdir()
    with pytest.raises(
        DataError, match=r"only in training: 'bee'; only in validation: 'cow'.*--set keep_empty_classes=true"
    ):
        read_folder(uneven, Splitting(seed=0))


@pytest.mark.usefixtures("kept")
def test_another_process_has_the_same_labels(uneven: Path) -> None:
    validation = read_folder(uneven, KEEPING).validation
    content = pickle.dumps(validation)
    assert b"0.jpg" not in content
    again = pickle.loads(content)
    assert again.classes == ("ant", "bee", "cow", "dog")
    np.testing.assert_array_equal(again.labels, [0, 2, 2])
    assert again.fingerprint() == validation.fingerprint()


def test_folders_beside_train_are_told_and_what_is_held_out_too(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 5, "bee": 5})
    write_tree(tmp_path / "test", {"ant": 5, "bee": 5})
    write_tree(tmp_path / ".thumbnails", {"ant": 1})
    with pytest.warns(DataWarning) as caught:
        split = read_folder(tmp_path, Splitting(seed=3))
    (told,) = (str(warning.message) for warning in caught)
    assert "passed over: 'test'." in told
    assert "neither val nor validation" in told
    assert "8 training and 2 validation images" in split.description
    assert "20% of its training images held out by seed 3" in split.description


def test_many_folders_beside_train_are_counted(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 5, "bee": 5})
    for number in range(8):
        (tmp_path / f"old{number}").mkdir()
    with pytest.warns(DataWarning, match="'old0', .*'old4' and 3 more"):
        read_folder(tmp_path, Splitting(seed=3))


def test_train_alone_gives_no_warning(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 5, "bee": 5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_folder(tmp_path, Splitting(seed=3))
