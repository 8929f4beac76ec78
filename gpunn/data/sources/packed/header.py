"""Where everything lies in a file of packed images.

The file is a safetensors file (https://huggingface.co/docs/safetensors describes the format: eight bytes that hold the
header's length, a JSON header, the bytes of the tensors), so any tool that knows the format opens it:

- `train.images` uint8 (N, H, W, C), `train.labels` int32 (N,), `train.digests` uint8 (N, 16): BLAKE2b of 128 bits over
  the pixels of each image; the same for `validation`.
- `train.keys` uint8 (bytes,): what a quarantine calls each image's source, such as the path of its file, each followed
  by a zero byte; the same for `validation`. Files without them are read.
- Images begin at multiples of 4096 bytes; a tensor `train.padding` or `validation.padding` fills what is left, because
  the format allows no holes.
- The metadata hold the format and its version, the classes, what the source was, how the images were resized and
  augmented, and the SHA-256 of classes, shapes, labels, digests and keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpunn.arena import align
from gpunn.data.dataset import content_hash
from gpunn.errors import DataError

FORMAT = "gpunn packed images"
VERSION = "1"
HALVES = ("train", "validation")
DIGEST_BYTES = 16
PAGE_BYTES = 4096

MAXIMUM_HEADER_BYTES = 1 << 25
"""The longest header that is read: room for half a million classes."""

LENGTH_BYTES = 8

DTYPES: Mapping[str, np.dtype[Any]] = {"U8": np.dtype("u1"), "I32": np.dtype("<i4")}
"""The number types of the tensors, as the format calls them."""

_METADATA = "__metadata__"

_SPARE_BYTES = 256
"""A file with fewer images than planned may need padding that was not planned."""


@dataclass(frozen=True)
class Tensor:
    """One entry of the header.

    Attributes:
        name: of the tensor.
        dtype: "U8" or "I32".
        shape: of the tensor.
        begin: its first byte, counted from the end of the header.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int

    @property
    def end(self) -> int:
        """The byte behind its last."""
        return self.begin + self.bytes

    @property
    def bytes(self) -> int:
        """How many it takes."""
        return prod(self.shape) * DTYPES[self.dtype].itemsize


@dataclass(frozen=True)
class PackedHeader:
    """What is said before the pixels.

    Attributes:
        length: bytes before the first tensor, the eight of the length among them; a multiple of 4096 in files that
            gpunn wrote.
        tensors: by name.
        metadata: text by name.
    """

    length: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    @property
    def file_bytes(self) -> int:
        """How long the whole file is."""
        return self.length + max((tensor.end for tensor in self.tensors.values()), default=0)


def lay_out(
    counts: Sequence[int], key_bytes: Sequence[int], picture: tuple[int, int, int], metadata: Mapping[str, str]
) -> PackedHeader:
    """The header of a file with so many training and validation images of height x width x channels.

    Args:
        counts: of training and validation images.
        key_bytes: how many the keys of either take.
        picture: height, width and channels of each.
        metadata: besides format and version.

    Raises:
        DataError: it would be too long to be read.
    """
    tensors: list[Tensor] = []

    def add(name: str, dtype: str, shape: tuple[int, ...]) -> None:
        tensors.append(Tensor(name, dtype, shape, tensors[-1].end if tensors else 0))

    for half, count in zip(HALVES, counts, strict=True):
        add(f"{half}.images", "U8", (count, *picture))
        end = tensors[-1].end
        if align(end, PAGE_BYTES) > end:
            add(f"{half}.padding", "U8", (align(end, PAGE_BYTES) - end,))
    for half, count in zip(HALVES, counts, strict=True):
        add(f"{half}.labels", "I32", (count,))
    for half, length in zip(HALVES, key_bytes, strict=True):
        add(f"{half}.keys", "U8", (length,))
    for half, count in zip(HALVES, counts, strict=True):
        add(f"{half}.digests", "U8", (count, DIGEST_BYTES))
    header = PackedHeader(0, {tensor.name: tensor for tensor in tensors}, metadata)
    length = align(LENGTH_BYTES + len(_json(header)) + _SPARE_BYTES, PAGE_BYTES)
    if length > MAXIMUM_HEADER_BYTES:
        raise DataError(f"the names of the classes and the rest of the header take {length} bytes; shorten the names")
    return PackedHeader(length, header.tensors, metadata)


def encode_header(header: PackedHeader, length: int) -> bytes:
    """The first `length` bytes of the file, filled up with spaces.

    Raises:
        ValueError: the header does not fit.
    """
    text = _json(header)
    if LENGTH_BYTES + len(text) > length:
        raise ValueError(f"a header of {LENGTH_BYTES + len(text)} bytes does not fit {length}")
    return (length - LENGTH_BYTES).to_bytes(LENGTH_BYTES, "little") + text.ljust(length - LENGTH_BYTES)


def decode_header(length: int, text: bytes) -> PackedHeader:
    """The header that `encode_header` made.

    Args:
        length: bytes before the first tensor.
        text: the JSON part.

    Raises:
        DataError: it is damaged, of another program, or of a newer gpunn; the text tells why, not in which file.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError("its header is not JSON; the file is damaged") from error
    metadata = entries.pop(_METADATA, None) if isinstance(entries, dict) else None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise DataError("another program wrote it; make one with `gpunn data pack`")
    if metadata.get("version") != VERSION:
        raise DataError(
            f"it has version {metadata.get('version')!r} of the format and this gpunn reads {VERSION!r}; "
            "install the gpunn that wrote it, or pack the data again"
        )
    if not all(isinstance(value, str) for value in metadata.values()):
        raise DataError("its metadata are not text; the file is damaged")
    return PackedHeader(length, {name: _tensor(name, entry) for name, entry in entries.items()}, metadata)


@dataclass(frozen=True)
class HalfContent:
    """What one half holds besides its pixels.

    Attributes:
        shape: of the images, (N, H, W, C).
        labels: little-endian int32.
        digests: of the images.
        keys: of the images, each followed by a zero byte; empty in files that have none.
    """

    shape: tuple[int, ...]
    labels: bytes
    digests: bytes
    keys: bytes


def content_digest(classes: Sequence[str], halves: Sequence[HalfContent]) -> str:
    """SHA-256 in hexadecimal over the classes, and the shape, labels, digests and, if any, keys of each half."""
    parts = [str(len(classes)).encode(), *(name.encode("utf-8", "surrogatepass") for name in classes)]
    for half in halves:
        parts += ["x".join(map(str, half.shape)).encode(), half.labels, half.digests, *filter(None, [half.keys])]
    return content_hash(parts)


def _json(header: PackedHeader) -> bytes:
    # The format comes first, so that a file can be recognised by its beginning.
    entries: dict[str, Any] = {_METADATA: {"format": FORMAT, "version": VERSION, **header.metadata}}
    for tensor in header.tensors.values():
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [tensor.begin, tensor.end],
        }
    return json.dumps(entries, separators=(",", ":")).encode("ascii")


def _tensor(name: str, entry: Any) -> Tensor:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]} if dtype in DTYPES:
            if all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
                tensor = Tensor(name, dtype, tuple(shape), begin)
                if tensor.end == end:
                    return tensor
    raise DataError(f"its tensor {name!r} is not as packed images have it: {str(entry)[:200]}; the file is damaged")
