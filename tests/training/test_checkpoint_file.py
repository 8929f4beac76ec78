"""One checkpoint file: what goes in comes out, other programs can read it, and whatever is not whole is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gpunn.errors import CheckpointError
from gpunn.training.checkpoint_file import UnreadableCheckpointError, read_checkpoint, read_manifest, write_checkpoint
from gpunn.training.manifest import Manifest
from tests.training.samples import assert_is_epoch, manifest_of, tensors_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.safetensors"


@pytest.fixture
def written(path: Path) -> Path:
    write_checkpoint(path, tensors_of(3), manifest_of(3))
    return path


def metadata_of(manifest: Manifest, tensors: dict[str, np.ndarray], /, **changes: object) -> dict[str, str]:
    """The metadata of a checkpoint, put together from the description of the format."""
    types = {"float32": "F32", "int8": "I8"}
    digests = {
        name: hashlib.sha256(
            f"{types[tensor.dtype.name]} {list(tensor.shape)}\n".encode() + tensor.tobytes()
        ).hexdigest()
        for name, tensor in tensors.items()
    }
    text = json.dumps({**manifest.model_dump(), "tensors": digests, **changes})
    return {"manifest": text, "manifest_sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_everything_comes_back_bit_for_bit(written: Path) -> None:
    assert_is_epoch(3, *read_checkpoint(written))
    assert read_manifest(written).progress == manifest_of(3).progress


def test_tensors_read_can_be_written_to(written: Path) -> None:
    tensors, _ = read_checkpoint(written)
    tensors["conv1.bias"][...] = 0


def test_the_safetensors_library_reads_what_is_written(written: Path) -> None:
    found = safetensors.numpy.load_file(written)
    assert found.keys() == tensors_of(3).keys()
    for name, tensor in tensors_of(3).items():
        np.testing.assert_array_equal(found[name], tensor)


def test_what_the_safetensors_library_writes_is_read(path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(1, np.float32)}
    safetensors.numpy.save_file(tensors, path, metadata=metadata_of(manifest_of(1), tensors))
    found, manifest = read_checkpoint(path)
    np.testing.assert_array_equal(found["a"], tensors["a"])
    assert manifest.classes == manifest_of(1).classes


def test_big_endian_tensors_are_stored_little_endian(path: Path) -> None:
    write_checkpoint(path, {"a": np.array([1, 2], ">f4")}, manifest_of(1))
    np.testing.assert_array_equal(safetensors.numpy.load_file(path)["a"], [1, 2])
    np.testing.assert_array_equal(read_checkpoint(path)[0]["a"], [1, 2])


def test_the_same_state_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    tensors = tensors_of(3)
    write_checkpoint(tmp_path / "a", tensors, manifest_of(3))
    write_checkpoint(tmp_path / "b", dict(reversed(tensors.items())), manifest_of(3))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_odd_path_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"odd \xff\n.safetensors")
    write_checkpoint(path, tensors_of(3), manifest_of(3))
    assert_is_epoch(3, *read_checkpoint(path))


@pytest.mark.parametrize("name", ["int8", "complex64", "object", "float128"])
def test_a_number_type_that_checkpoints_do_not_hold_is_not_written(path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"tensor 'a' is .*a checkpoint holds float64"):
        write_checkpoint(path, {"a": np.zeros(2, name)}, manifest_of(1))
    assert list(path.parent.iterdir()) == []


def test_the_name_of_the_metadata_is_no_tensor(path: Path) -> None:
    with pytest.raises(ValueError, match="__metadata__"):
        write_checkpoint(path, {"__metadata__": np.zeros(2)}, manifest_of(1))


@pytest.mark.parametrize("value", [(1, 2), np.float32(1), {1: 2}, b"bytes"], ids=repr)
def test_values_that_json_would_change_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="progress"):
        Manifest.model_validate({**manifest_of(1).model_dump(), "progress": {"value": value}})


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_every_flipped_byte_is_noticed_and_the_tensor_named(path: Path, written: Path, mask: int) -> None:
    whole = written.read_bytes()
    data = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:data])
    owners = {
        data + offset: name
        for name, entry in header.items()
        if name != "__metadata__"
        for offset in range(*entry["data_offsets"])
    }
    assert set(owners) == set(range(data, len(whole)))
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert str(path) in str(caught.value)
        if position in owners:
            assert f"tensor {owners[position]!r} does not match its SHA-256" in str(caught.value)
            assert read_manifest(path) is not None


def test_every_truncation_is_noticed(path: Path, written: Path) -> None:
    whole = written.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableCheckpointError):
            read_checkpoint(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(UnreadableCheckpointError):
        read_checkpoint(path)


class Bomb:
    """Unpickling this makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_not_executed(path: Path, protocol: int) -> None:
    mark = path.with_name("executed")
    path.write_bytes(pickle.dumps(Bomb(mark), protocol))
    with pytest.raises(UnreadableCheckpointError, match="a Python pickle" if protocol >= 2 else "safetensors"):
        read_checkpoint(path)
    assert not mark.exists()


def test_a_zip_archive_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", bytes(1 << 20))
    with pytest.raises(UnreadableCheckpointError, match="a zip archive"):
        read_checkpoint(path)


HOSTILE_HEADERS = {
    "nested": b"[" * 100_000,
    "not an object": b"[]",
    "huge product": b'{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}',
    "negative": b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}',
    "beyond the file": b'{"a":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}',
    "overlap": b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},'
    b'"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}',
    "unknown type": b'{"a":{"dtype":"PICKLE","shape":[4],"data_offsets":[0,4]}}',
    "no manifest": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    "not text": b"\xff\xfe\xfd",
}


@pytest.mark.parametrize("header", HOSTILE_HEADERS.values(), ids=HOSTILE_HEADERS)
def test_a_hostile_header_is_refused(path: Path, header: bytes) -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UnreadableCheckpointError, match="cannot use checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, (16 << 20) + 1])
def test_a_header_that_claims_to_be_huge_is_not_read(path: Path, length: int) -> None:
    path.write_bytes(length.to_bytes(8, "little") + bytes(100))
    with pytest.raises(UnreadableCheckpointError, match="its header is too long"):
        read_checkpoint(path)


def test_a_file_larger_than_the_memory_is_refused(path: Path) -> None:
    size = 1 << 42
    header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    try:
        os.truncate(path, 8 + len(header) + size)
    except OSError:
        pytest.skip("this file system has no sparse files of that size")
    with pytest.raises(UnreadableCheckpointError, match="more than the memory"):
        read_checkpoint(path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "missing"])
def test_what_is_no_file_is_refused_at_once(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(UnreadableCheckpointError, match="cannot use checkpoint"):
        read_checkpoint(path)


def test_a_file_of_a_newer_gpunn_is_refused_with_the_remedy(path: Path) -> None:
    tensors = {"a": np.zeros(2, np.float32)}
    metadata = metadata_of(manifest_of(1), tensors, format_version=2, gpunn_version="9.0", invented="later")
    safetensors.numpy.save_file(tensors, path, metadata=metadata)
    for read in (read_checkpoint, read_manifest):
        with pytest.raises(CheckpointError, match=r"format 2, written by gpunn '9.0'.*upgrade gpunn") as caught:
            read(path)
        assert not isinstance(caught.value, UnreadableCheckpointError)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"classes": None}, "'classes'"),
        ({"format_version": 0}, "'format_version'"),
        ({"surplus": 1}, "'surplus'"),
        ({"tensors": {"a": "0" * 64}}, "tensor 'a' does not match"),
        ({"tensors": {}}, "unlisted tensor 'a'"),
        ({"tensors": {"a": "0" * 64, "b": "0" * 64}}, "holds no tensor 'b'"),
    ],
)
def test_a_manifest_that_does_not_describe_the_file_is_refused(
    path: Path, changes: dict[str, object], reason: str
) -> None:
    tensors = {"a": np.zeros(2, np.float32)}
    safetensors.numpy.save_file(tensors, path, metadata=metadata_of(manifest_of(1), tensors, **changes))
    with pytest.raises(UnreadableCheckpointError, match=reason):
        read_checkpoint(path)


def test_a_vouched_tensor_of_another_number_type_is_refused(path: Path) -> None:
    tensors = {"a": np.zeros(2, np.int8)}
    safetensors.numpy.save_file(tensors, path, metadata=metadata_of(manifest_of(1), tensors))
    with pytest.raises(UnreadableCheckpointError, match="tensor 'a' has the number type I8"):
        read_checkpoint(path)


def test_a_vouched_manifest_that_is_nested_too_deeply_is_refused(path: Path) -> None:
    text = "[" * 100_000
    metadata = {"manifest": text, "manifest_sha256": hashlib.sha256(text.encode()).hexdigest()}
    safetensors.numpy.save_file({"a": np.zeros(2, np.float32)}, path, metadata=metadata)
    with pytest.raises(UnreadableCheckpointError, match="manifest"):
        read_checkpoint(path)
