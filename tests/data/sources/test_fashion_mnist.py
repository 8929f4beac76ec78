from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import shutil
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.dataset import DataWarning
from gpunn.data.sources.fashion_mnist import OFFICIAL, Origin, read_fashion_mnist
from gpunn.data.sources.opening import is_named, suggested_settings
from gpunn.errors import DataError
from gpunn.training.configuration import configure
from tests.data.pictures import random_picture
from tests.data.sources.idx_files import write_half

TRAIN = random_picture(0, 12 * 28, 28, 1).reshape(12, 28, 28)
TEST = random_picture(1, 4 * 28, 28, 1).reshape(4, 28, 28)
LABELS = [9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder with four small files of the names and the layout of the real ones."""
    folder = tmp_path / "published"
    write_half(folder, "train", TRAIN, LABELS, packed=True)
    write_half(folder, "t10k", TEST, LABELS[:4], packed=True)
    return folder


@pytest.fixture
def origin(tmp_path: Path, published: Path) -> Iterator[Origin]:
    """Where these files are: nowhere on this machine, and at an address."""
    handler = partial(QuietHandler, directory=str(published))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        digests = {
            name: hashlib.sha256(gzip.decompress((published / name).read_bytes())).hexdigest()
            for name in OFFICIAL.digests
        }
        yield Origin(tmp_path / "package", f"http://127.0.0.1:{server.server_port}/", digests)
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def offline(origin: Origin) -> Origin:
    """The same, at an address where nobody answers."""
    return dataclasses.replace(origin, address="http://127.0.0.1:9/")


def read_in_silence(origin: Origin) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = read_fashion_mnist(origin)
    assert split.train.labels.tolist() == LABELS
    assert split.validation.labels.tolist() == LABELS[:4]
    assert split.train.picture_shape == (28, 28, 1)
    assert split.train.classes[:2] == ("T-shirt/top", "Trouser")
    assert len(split.train.classes) == 10
    np.testing.assert_array_equal(split.train.load(3), TRAIN[3, :, :, np.newaxis])
    np.testing.assert_array_equal(split.validation.load(3), TEST[3, :, :, np.newaxis])


def test_the_files_of_the_package_are_read(offline: Origin, published: Path) -> None:
    read_in_silence(dataclasses.replace(offline, folder=published))


def test_a_download_is_announced_and_kept(origin: Origin, tmp_path: Path, published: Path) -> None:
    with pytest.warns(DataWarning, match="downloaded"):
        read_fashion_mnist(origin)
    for name in OFFICIAL.digests:
        assert (tmp_path / "cache" / "fashion-mnist" / name).read_bytes() == (published / name).read_bytes()
    read_in_silence(dataclasses.replace(origin, address="http://127.0.0.1:9/"))


def test_how_a_file_was_packed_does_not_matter(offline: Origin, published: Path) -> None:
    for name in OFFICIAL.digests:
        path = published / name
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=7))
    read_in_silence(dataclasses.replace(offline, folder=published))


def test_offline_the_error_says_what_to_do(offline: Origin, tmp_path: Path) -> None:
    with pytest.warns(DataWarning), pytest.raises(DataError) as refusal:
        read_fashion_mnist(offline)
    message = str(refusal.value)
    for words in ("not on this machine", "dataset-fashion-mnist", str(tmp_path / "cache"), *OFFICIAL.digests):
        assert words in message
    assert not (tmp_path / "cache").exists()


def test_a_wrong_download_is_refused_and_not_kept(origin: Origin, tmp_path: Path, published: Path) -> None:
    (published / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.warns(DataWarning), pytest.raises(DataError, match="contents have SHA-256"):
        read_fashion_mnist(origin)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b half", gzip.compress(b"another file", mtime=0)])
def test_damaged_files_are_passed_over(origin: Origin, tmp_path: Path, damage: bytes) -> None:
    with pytest.warns(DataWarning):
        read_fashion_mnist(origin)
    kept = tmp_path / "cache" / "fashion-mnist" / "train-labels-idx1-ubyte.gz"
    kept.write_bytes(damage)
    with pytest.warns(DataWarning) as caught:
        read_fashion_mnist(origin)
    assert [str(kept) in str(warning.message) for warning in caught] == [True, True]
    assert "downloaded" in str(caught[1].message)
    read_in_silence(origin)


@pytest.mark.parametrize("place", ["package", "cache/fashion-mnist"])
def test_offline_the_error_says_which_damaged_file_to_replace(
    offline: Origin, tmp_path: Path, published: Path, place: str
) -> None:
    shutil.copytree(published, tmp_path / place)
    damaged = tmp_path / place / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.warns(DataWarning) as caught, pytest.raises(DataError) as refusal:
        read_fashion_mnist(offline)
    assert f"Replace '{damaged}'" in str(refusal.value)
    for text in (*(str(warning.message) for warning in caught), str(refusal.value)):
        assert f"'{damaged}'" in text
        assert "not on this machine" not in text


def test_its_settings_are_settings() -> None:
    assert is_named("fashion-mnist")
    assert configure(suggested_settings("fashion-mnist")).epochs > 1
