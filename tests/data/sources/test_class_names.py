from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.dataset import DataWarning
from gpunn.data.sources.class_names import class_names, numbered_classes
from gpunn.errors import DataError


def test_classes_without_names_are_numbered(tmp_path: Path) -> None:
    assert class_names(tmp_path, np.array([2, 0, 1], np.int32)) == ("0", "1", "2")


@pytest.mark.parametrize(
    ("labels", "lines", "told"),
    [
        ([1, 2, 3, 4], None, r"of 5 classes, whose labels count from 0, these have no training images: '0'$"),
        ([1, 1], ["ant", "bee", "cow"], r"of 3 classes, .*: 'ant', 'cow'$"),
        ([7, 9], None, r"of 10 classes, .*: '0', '1', '2', '3', '4' and 3 more$"),
    ],
)
def test_classes_that_no_label_belongs_to_are_told(
    tmp_path: Path, labels: list[int], lines: list[str] | None, told: str
) -> None:
    if lines is not None:
        (tmp_path / "classes.txt").write_text("\n".join(lines))
    with pytest.warns(DataWarning, match=told):
        names = class_names(tmp_path, np.array(labels, np.uint8))
    assert len(names) == (max(labels) + 1 if lines is None else len(lines))


@pytest.mark.parametrize("labels", [[-1, 1], [0.5, 1.0]])
def test_labels_that_will_be_refused_give_no_warning(tmp_path: Path, labels: list[float]) -> None:
    assert class_names(tmp_path, np.array(labels))[0] == "0"


@pytest.mark.parametrize(("labels", "refused"), [([0, 999], False), ([0, 1000], True), ([*range(1001)], False)])
def test_a_label_that_makes_more_classes_than_there_are_images_is_a_mistake(labels: list[int], refused: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        if not refused:
            assert len(numbered_classes(np.array(labels), "x")) == labels[-1] + 1
            return
        with pytest.raises(DataError, match=r"x: sample 1 has label 1000, which makes 1001 classes of 2 images.*txt"):
            numbered_classes(np.array(labels), "x")


def test_lines_are_names(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbftench, Tinca tinca\r\n gold fish \nodd \xff\n\n")
    assert class_names(tmp_path, np.arange(3)) == ("tench, Tinca tinca", "gold fish", "odd \\xff")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ant\n\nbee\n", "line 2 is empty"),
        (b"ant\nbee\nant\n", "line 3 names the class 'ant' again"),
        (b"", "is empty"),
    ],
)
def test_unclear_names_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"classes\.txt': .*{words}"):
        class_names(tmp_path, np.array([0]))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "classes.txt")
    with pytest.raises(DataError, match="not a regular file"):
        class_names(tmp_path, np.array([0]))
