"""One checkpoint is one safetensors file: tensors, and a manifest in the file's metadata that vouches for them.

Written here, not by the safetensors library, whose writer ignores strides, orders the header at random and hides
the system's error number; read by that library, whose parser is the one the field trusts. Nothing is ever
unpickled. https://huggingface.co/docs/safetensors describes the format: eight bytes that hold the header's length,
a JSON header, the bytes of the tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from gpunn.durable_files import replace_file, write_failure
from gpunn.errors import CheckpointError
from gpunn.training.manifest import FutureFormatError, Manifest, manifest_from_text, manifest_to_text

Array = np.ndarray[Any, np.dtype[Any]]

#: The longest header that is read: room for 20,000 tensors and the history of 10,000 epochs.
MAXIMUM_HEADER_BYTES = 16 << 20

_TYPE_NAMES: dict[np.dtype[Any], str] = {
    np.dtype(np.float64): "F64",
    np.dtype(np.float32): "F32",
    np.dtype(np.float16): "F16",
    np.dtype(np.int64): "I64",
    np.dtype(np.uint64): "U64",
    np.dtype(np.int32): "I32",
    np.dtype(np.uint32): "U32",
    np.dtype(np.uint8): "U8",
    np.dtype(np.bool_): "BOOL",
}

_METADATA = "__metadata__"

_FOREIGN_BEGINNINGS = {
    b"PK": "a zip archive, as other frameworks write",
    b"\x80": "a Python pickle",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file",
}


class UnreadableCheckpointError(CheckpointError):
    """A file that is not there, is no checkpoint of gpunn, or is damaged; another copy may still be good.

    Attributes:
        path: the file.
        reason: what is wrong with it, with the tensor's name where it is one tensor.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"cannot use checkpoint {str(path)!r}: {reason}; nothing was loaded from it; "
            f"use another checkpoint of the run, or check the path"
        )
        self.path = path
        self.reason = reason


def write_checkpoint(path: Path, tensors: Mapping[str, Array], manifest: Manifest) -> None:
    """Write one checkpoint durably: the path holds the old file or the new one at every moment.

    Args:
        path: the file to create or replace, in a folder that exists.
        tensors: name and array; any strides and byte order, stored dense and little-endian.
        manifest: its `tensors` is filled in here.

    Raises:
        CheckpointError: when the disk is full, read-only or failing; the old file is intact.
        ValueError: when a tensor has a number type that checkpoints do not hold.
    """
    pieces = checkpoint_pieces(tensors, manifest)
    try:
        replace_file(path, pieces)
    except OSError as error:
        raise write_failure(path, error) from error


def read_checkpoint(path: Path) -> tuple[dict[str, Array], Manifest]:
    """All tensors, each verified against its SHA-256, and the manifest.

    Raises:
        UnreadableCheckpointError: when the file is missing, damaged or foreign; the text names the tensor.
        CheckpointError: when the file may not be read, or a newer gpunn wrote it.
    """
    with _opened(path) as file:
        manifest = _manifest(path, file)
        names = set(file.keys())
        for name in sorted(names ^ manifest.tensors.keys()):
            missing = "holds no" if name in manifest.tensors else "holds an unlisted"
            raise UnreadableCheckpointError(path, f"it {missing} tensor {name!r}")
        return {name: _verified_tensor(path, file, name, manifest.tensors[name]) for name in manifest.tensors}, manifest


def read_manifest(path: Path) -> Manifest:
    """The manifest alone, verified; the tensors are neither read nor verified.

    Raises:
        UnreadableCheckpointError, CheckpointError: as `read_checkpoint`.
    """
    with _opened(path) as file:
        return _manifest(path, file)


def checkpoint_pieces(tensors: Mapping[str, Array], manifest: Manifest) -> list[bytes | memoryview]:
    """The bytes of a checkpoint, in order; contiguous tensors are viewed, not copied.

    The same tensors and manifest always give the same bytes.

    Raises:
        ValueError: when a tensor has a number type that checkpoints do not hold.
    """
    dense = {name: _dense(name, tensor) for name, tensor in tensors.items()}
    # Wide types first keeps every tensor aligned to its own width, as the library does.
    names = sorted(dense, key=lambda name: (-dense[name].itemsize, name))
    digests = {name: tensor_digest(dense[name]) for name in names}
    manifest_text = manifest_to_text(manifest.model_copy(update={"tensors": digests}))
    header: dict[str, Any] = {_METADATA: {"manifest": manifest_text, "manifest_sha256": _text_digest(manifest_text)}}
    offset = 0
    for name in names:
        tensor = dense[name]
        header[name] = {
            "dtype": _TYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAXIMUM_HEADER_BYTES:
        raise ValueError(f"the manifest is too long: {len(text)} bytes, at most {MAXIMUM_HEADER_BYTES} can be read")
    return [len(text).to_bytes(8, "little"), text, *(_bytes_of(dense[name]) for name in names)]


def tensor_digest(tensor: Array) -> str:
    """SHA-256 over one line with number type and shape, as in `F32 [3, 64]`, then the dense little-endian bytes."""
    digest = hashlib.sha256(f"{_TYPE_NAMES[tensor.dtype]} {list(tensor.shape)}\n".encode())
    digest.update(_bytes_of(tensor))
    return digest.hexdigest()


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _dense(name: str, tensor: Array) -> Array:
    if name == _METADATA:
        raise ValueError(f"no tensor can be called {name!r}: the format keeps its metadata under that name")
    little_endian = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
    if little_endian.dtype not in _TYPE_NAMES:
        raise ValueError(f"tensor {name!r} is {tensor.dtype}; a checkpoint holds {', '.join(map(str, _TYPE_NAMES))}")
    return np.ascontiguousarray(little_endian).reshape(tensor.shape)


def _bytes_of(tensor: Array) -> memoryview:
    return tensor.reshape(-1).view(np.uint8).data


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The library's view of the file, with every way of being unreadable turned into one error."""
    try:
        _check_beginning(path)
        # With "pread" a failing disk is an error; a mapped file would kill the process.
        with safe_open(os.fspath(path), framework="numpy", backend="pread") as file:
            yield file
    except PermissionError as error:
        raise CheckpointError(f"cannot read {str(path)!r}: {error.strerror}; ask for the right to read it") from error
    except OSError as error:
        raise UnreadableCheckpointError(path, error.strerror or str(error)) from error
    except MemoryError:
        raise UnreadableCheckpointError(path, "it does not fit the memory of this machine") from None
    except SafetensorError as error:
        raise UnreadableCheckpointError(path, str(error)) from error


def _check_beginning(path: Path) -> None:
    """Refuse whatever cannot be a checkpoint before any of it is parsed."""
    # A pipe without a writer would block for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableCheckpointError(path, "it is not a regular file")
        beginning = file.read(8)
        length = int.from_bytes(beginning, "little")
        if len(beginning) < 8:
            raise UnreadableCheckpointError(path, f"it is {status.st_size} bytes long, too short for a checkpoint")
        if length > MAXIMUM_HEADER_BYTES:
            guess = next((what for start, what in _FOREIGN_BEGINNINGS.items() if beginning.startswith(start)), None)
            likeness = f"it looks like {guess}" if guess else "its header is too long"
            raise UnreadableCheckpointError(path, f"{likeness}, not like safetensors")
        # The library maps the header: read it once here, where a failing disk is an error.
        if len(file.read(length)) < length:
            raise UnreadableCheckpointError(path, "it is cut off within its header")
        if status.st_size > _physical_memory():
            raise UnreadableCheckpointError(
                path, f"it is {status.st_size} bytes long, more than the memory of this machine"
            )


def _physical_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _manifest(path: Path, file: Any) -> Manifest:
    metadata: dict[str, str] = file.metadata() or {}
    text = metadata.get("manifest")
    if text is None:
        raise UnreadableCheckpointError(
            path, "it holds no manifest of gpunn: another program wrote it, or it is damaged"
        )
    if _text_digest(text) != metadata.get("manifest_sha256"):
        raise UnreadableCheckpointError(path, "its manifest does not match its SHA-256")
    try:
        return manifest_from_text(text)
    except FutureFormatError as error:
        raise CheckpointError(f"cannot use checkpoint {str(path)!r}: {error}") from None
    except ValueError as error:
        raise UnreadableCheckpointError(path, str(error)) from None


def _verified_tensor(path: Path, file: Any, name: str, digest: str) -> Array:
    stored_type = file.get_slice(name).get_dtype()
    if stored_type not in _TYPE_NAMES.values():
        raise UnreadableCheckpointError(
            path, f"tensor {name!r} has the number type {stored_type}, which checkpoints do not hold"
        )
    tensor: Array = file.get_tensor(name)
    if tensor_digest(tensor) != digest:
        raise UnreadableCheckpointError(path, f"tensor {name!r} does not match its SHA-256")
    return tensor
