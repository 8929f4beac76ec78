"""A file of packed images, mapped into memory."""

from __future__ import annotations

import json
import mmap
import os
import stat
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.keeping.byte_strings import ByteStrings
from gpunn.data.names import printable
from gpunn.data.sources.packed.header import (
    DIGEST_BYTES,
    DTYPES,
    HALVES,
    LENGTH_BYTES,
    MAXIMUM_HEADER_BYTES,
    HalfContent,
    PackedHeader,
    Tensor,
    content_digest,
    decode_header,
)
from gpunn.errors import DataError

_END_OF_KEY = b"\0"


class PackedFile:
    """Classes, shapes, labels, digests and keys are verified when a file is opened; its pixels are not read.

    Args:
        path: the file.

    Attributes:
        path: absolute.
        source: the path as text for messages.
        metadata: the header's.
        classes: their names, by label.
        sha256: of classes, shapes, labels, digests and keys, in hexadecimal.

    Raises:
        DataError: the file cannot be read, is truncated or damaged, or no packed file of this version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)
        self.source = f"'{printable(path)}'"
        try:
            # A pipe without a writer would block for ever.
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._descriptor)
            self._header, self._map = _mapped(self._descriptor)
            self.metadata = self._header.metadata
            self.classes = _classes(self.metadata)
            self.sha256 = self._verified_digest()
            self._keys = {half: self._split_keys(half) for half in HALVES}
        except OSError as error:
            raise DataError(f"{self.source}: {error.strerror or error}") from error
        except DataError as error:
            raise DataError(f"{self.source}: {error}") from error

    def images(self, half: str) -> npt.NDArray[np.uint8]:
        """The pixels of the half "train" or "validation", (N, H, W, C); read-only, as they lie in the file."""
        return self._array(self._images(half))

    def labels(self, half: str) -> npt.NDArray[np.int32]:
        """(N,), read-only."""
        return self._array(self._expect(f"{half}.labels", "I32", self._images(half).shape[:1]))

    def digests(self, half: str) -> npt.NDArray[np.uint8]:
        """BLAKE2b of each image's pixels, (N, 16), read-only."""
        return self._array(self._expect(f"{half}.digests", "U8", (self._images(half).shape[0], DIGEST_BYTES)))

    def key(self, half: str, index: int) -> str | None:
        """What a quarantine calls the source of an image, bytes that are not UTF-8 as surrogates; None: unknown."""
        keys = self._keys[half]
        return keys[index].removesuffix(_END_OF_KEY).decode("utf-8", "surrogateescape") if keys else None

    def read_ahead(self, half: str, index: int) -> None:
        """Have one image read from the disk as a whole; a fault at a time would wait for each of its pages."""
        images = self._header.tensors[f"{half}.images"]
        size = images.bytes // images.shape[0]
        begin = self._header.length + images.begin + index * size
        # The same by madvise would hold the interpreter's lock meanwhile.
        os.posix_fadvise(self._descriptor, begin, size, os.POSIX_FADV_WILLNEED)

    def _images(self, half: str) -> Tensor:
        tensor = self._header.tensors.get(f"{half}.images")
        shape = tensor.shape if tensor is not None else ()
        if tensor is None or tensor.dtype != "U8" or len(shape) != 4 or 0 in shape[1:] or shape[3] not in (1, 3):
            raise DataError(f"it holds no tensor {half}.images of uint8 (N, H, W, 1 or 3)")
        return tensor

    def _expect(self, name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
        tensor = self._header.tensors.get(name)
        if tensor is None or tensor.dtype != dtype or tensor.shape != shape:
            raise DataError(f"it holds no tensor {name} of {DTYPES[dtype]} {shape}")
        return tensor

    def _array(self, tensor: Tensor) -> npt.NDArray[Any]:
        begin = self._header.length + tensor.begin
        flat: npt.NDArray[Any] = np.ndarray((tensor.bytes,), np.uint8, self._map, begin)
        return flat.view(DTYPES[tensor.dtype]).reshape(tensor.shape)

    def _key_content(self, half: str) -> npt.NDArray[np.uint8]:
        tensor = self._header.tensors.get(f"{half}.keys")
        if tensor is None:
            return np.empty(0, np.uint8)
        return self._array(self._expect(tensor.name, "U8", (tensor.bytes,)))

    def _split_keys(self, half: str) -> ByteStrings:
        """Each with its end."""
        content = self._key_content(half)
        ends = np.flatnonzero(content == ord(_END_OF_KEY)) + 1
        if len(content) and len(ends) != self._images(half).shape[0]:
            raise DataError(f"its tensor {half}.keys does not hold one key for each image; pack it again")
        return ByteStrings(content, np.concatenate([np.zeros(1, np.int64), ends]))

    def _verified_digest(self) -> str:
        halves = [
            HalfContent(
                self.images(half).shape,
                self.labels(half).tobytes(),
                self.digests(half).tobytes(),
                self._key_content(half).tobytes(),
            )
            for half in HALVES
        ]
        found = content_digest(self.classes, halves)
        if found != self.metadata.get("sha256"):
            raise DataError(
                "its classes, shapes, labels, digests and keys do not match their SHA-256; copy or pack it again"
            )
        return found


def _mapped(descriptor: int) -> tuple[PackedHeader, mmap.mmap]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise DataError("it is not a regular file")
    header = _read_header(descriptor)
    if status.st_size != header.file_bytes:
        raise DataError(
            f"it is {status.st_size} bytes long and its header describes {header.file_bytes}: "
            "it is truncated or damaged; copy or pack it again"
        )
    return header, mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ)


def _read_header(descriptor: int) -> PackedHeader:
    beginning = os.pread(descriptor, LENGTH_BYTES, 0)
    length = int.from_bytes(beginning, "little")
    if len(beginning) < LENGTH_BYTES:
        raise DataError(f"{len(beginning)} bytes are too short for a packed file")
    if length > MAXIMUM_HEADER_BYTES:
        raise DataError("it does not begin as packed images do; make such a file with `gpunn data pack`")
    text = os.pread(descriptor, length, LENGTH_BYTES)
    if len(text) < length:
        raise DataError("it is cut off within its header; copy or pack it again")
    return decode_header(LENGTH_BYTES + length, text)


def _classes(metadata: Mapping[str, str]) -> tuple[str, ...]:
    try:
        classes = json.loads(metadata.get("classes", ""))
    except (ValueError, RecursionError):
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError("its list of classes is damaged; copy or pack it again")
    return tuple(classes)
