from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from gpunn.cache import CacheFiles
from gpunn.data.dataset import DataWarning
from gpunn.data.keeping import file_state, source_cache
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.data.sources.shards import index as module
from gpunn.data.sources.shards.index import ShardIndex, shard_index
from gpunn.data.sources.shards.scan import ShardSamples, scan_shard
from gpunn.errors import DataError
from tests.data.sources.shards.tars import Content, sample, write_shard


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small shards are worth keeping, and files of this moment count as old."""
    monkeypatch.setattr(source_cache, "WORTH_KEEPING", 1)
    monkeypatch.setattr(file_state, "SETTLING_NANOSECONDS", -(10**12))


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are looked through, as they are."""
    names: list[str] = []

    def scan(path: bytes) -> ShardSamples:
        names.append(os.path.basename(path).decode())
        return scan_shard(path)

    monkeypatch.setattr(module, "scan_shard", scan)
    return names


def contents(first: int) -> list[Content]:
    return [one for key in range(first, first + 3) for one in sample(f"{key}", key % 2, key)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(3):
        write_shard(tmp_path / "set" / f"{number}.tar", contents(3 * number))
    return tmp_path / "set"


def opened(root: Path) -> ShardIndex:
    paths = sorted(path.name.encode() for path in root.iterdir())
    raw = os.fsencode(root)
    return shard_index(raw, paths, "train", SourceCache(raw, CacheFiles(root.parent / "cache")))


def values(index: ShardIndex) -> list[object]:
    arrays = (index.counts, index.states, index.digests, index.offsets, index.sizes, index.labels)
    return [*index.paths, *index.names, *(array.tolist() for array in arrays)]


def test_shards_are_looked_through_once(root: Path, scanned: list[str]) -> None:
    first, second = opened(root), opened(root)
    assert scanned == ["0.tar", "1.tar", "2.tar"]
    assert values(first) == values(second)
    assert first.counts.tolist() == [3, 3, 3]
    assert list(first.names) == [f"{key}.jpg".encode() for key in range(9)]


def test_only_what_changed_is_looked_through_again(root: Path, scanned: list[str], tmp_path: Path) -> None:
    opened(root)
    scanned.clear()
    write_shard(root / "1.tar", contents(50))
    (root / "2.tar").unlink()
    write_shard(root / "7.tar", contents(60))
    found = opened(root)
    assert scanned == ["1.tar", "7.tar"]
    fresh = shard_index(
        os.fsencode(root), [b"0.tar", b"1.tar", b"7.tar"], "train", SourceCache(b"", CacheFiles(tmp_path / "other"))
    )
    assert values(found) == values(fresh)


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_shard_overwritten_in_place_is_noticed(root: Path, scanned: list[str], keep_times: bool) -> None:
    before = opened(root)
    path = root / "1.tar"
    status = path.stat()
    content = path.read_bytes().replace(b"4.jpg", b"8.jpg").replace(b"4.cls", b"8.cls")
    with path.open("r+b") as stream:
        stream.write(sound_headers(content))
    if keep_times:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    scanned.clear()
    after = opened(root)
    assert scanned == ["1.tar"]
    assert (after.digests[1] != before.digests[1]).any()
    assert list(after.names)[4] == b"8.jpg"


def sound_headers(content: bytes) -> bytes:
    """The archive with the checksums of headers of files as they must be."""
    raw = bytearray(content)
    for begin in range(0, len(raw), 512):
        if raw[begin + 257 : begin + 262] == b"ustar":
            raw[begin + 148 : begin + 156] = b" " * 8
            raw[begin + 148 : begin + 156] = b"%06o\0 " % sum(raw[begin : begin + 512])
    return bytes(raw)


def test_what_was_passed_over_is_told_each_time(root: Path) -> None:
    write_shard(root / "1.tar", [*contents(3), ("lone.jpg", b"x")])
    for _ in range(2):
        with pytest.warns(DataWarning, match=r"1\.tar': pictures without a label .*: 1, .* they are passed over"):
            opened(root)


def test_a_shard_of_this_moment_is_looked_through_again(
    root: Path, scanned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_state, "SETTLING_NANOSECONDS", 10**12)
    opened(root)
    opened(root)
    assert len(scanned) == 6


@pytest.mark.parametrize("position", [3, 60, -1])
def test_a_damaged_index_is_not_believed(root: Path, scanned: list[str], position: int) -> None:
    good = values(opened(root))
    (kept,) = (root.parent / "cache").iterdir()
    content = bytearray(kept.read_bytes())
    content[position] ^= 0xFF
    kept.write_bytes(content)
    scanned.clear()
    assert values(opened(root)) == good
    assert len(scanned) == 3


def test_another_process_maps_the_kept_index(root: Path) -> None:
    index = opened(root)
    sent = pickle.dumps(index)
    assert len(sent) < 500
    assert values(pickle.loads(sent)) == values(index)
    (kept,) = (root.parent / "cache").iterdir()
    kept.unlink()
    with pytest.raises(DataError, match="removed from the cache"):
        pickle.loads(sent)
    assert values(pickle.loads(pickle.dumps(index))) == values(index)


def test_a_shard_that_is_gone_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.tar': No such file"):
        shard_index(os.fsencode(root), [b"absent.tar"], "train", SourceCache(b"", CacheFiles(root.parent / "cache")))
