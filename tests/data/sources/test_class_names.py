from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.sources.class_names import class_names
from gpunn.errors import DataError


def test_classes_without_names_are_numbered(tmp_path: Path) -> None:
    assert class_names(tmp_path, np.array([2, 0], np.int32)) == ("0", "1", "2")


def test_lines_are_names(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbftench, Tinca tinca\r\n gold fish \nodd \xff\n\n")
    assert class_names(tmp_path, np.array([0])) == ("tench, Tinca tinca", "gold fish", "odd \\xff")


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
