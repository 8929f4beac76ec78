"""Pictures that were resized once and lie in one file as pixels (`gpunn data pack`)."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import DataWarning, Split, content_hash
from gpunn.data.names import printable
from gpunn.data.sources.labels import checked_labels
from gpunn.data.sources.packed.file import PackedFile
from gpunn.data.sources.packed.header import DIGEST_BYTES, FORMAT, HALVES
from gpunn.errors import DataError, UsageError

SUFFIX = ".safetensors"

_BEGINNING_BYTES = 64


class PackedDataset:
    """One half of a packed file. Threads share it; a process that it is sent to maps the file again.

    Args:
        file: the file.
        half: "train" or "validation".

    Raises:
        DataError: a label is none of the classes.
    """

    def __init__(self, file: PackedFile, half: str) -> None:
        self._file = file
        self._half = half
        self._images = file.images(half)
        self._labels = checked_labels(file.labels(half), len(self._images), len(file.classes), file.source)
        self._digests = file.digests(half)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._file.classes

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        return self._labels

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return {}

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        _, height, width, channels = self._images.shape
        return height, width, channels

    def __len__(self) -> int:
        return len(self._images)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """The pixels as they lie in the file, (H, W, C), read-only."""
        self._file.read_ahead(self._half, index)
        picture: npt.NDArray[np.uint8] = self._images[index]
        return picture

    def name(self, index: int) -> str:
        key = self._file.key(self._half, index)
        source = "" if key is None else f", made from '{printable(key)}'"
        return f"{self._half} image {index} of {self._file.source}{source}"

    def key(self, index: int) -> str:
        """What a quarantine calls the image's source; where the file does not tell, half and place: "train/17"."""
        return self._file.key(self._half, index) or f"{self._half}/{index}"

    def verify(self, index: int) -> bool:
        """Whether the pixels of one image are those that were packed."""
        return pixel_digest(self.load(index)) == bytes(self._digests[index])

    def fingerprint(self) -> str:
        """SHA-256 over shape, labels, classes and the digests of all images; the pixels are not read."""
        shape = "x".join(str(size) for size in self._images.shape)
        return content_hash(
            [
                shape.encode("ascii"),
                self._labels.astype("<i4").tobytes(),
                self._digests.tobytes(),
                *(name.encode("utf-8", "surrogatepass") for name in self.classes),
            ]
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._file.path, self._half, self._file.sha256)


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a packed file, be it damaged; a file of another name is recognised by its beginning."""
    if not os.path.isfile(path):
        return False
    if os.path.splitext(path)[1] == SUFFIX:
        return True
    try:
        with open(path, "rb", buffering=0) as stream:
            return FORMAT.encode("ascii") in stream.read(_BEGINNING_BYTES)
    except OSError:
        return False


def read_packed(path: Path) -> Split:
    """The data set in a packed file.

    Raises:
        DataError: the file cannot be read, is truncated or damaged, or no packed file of this version.
    """
    file = PackedFile(path)
    train, validation = (PackedDataset(file, half) for half in HALVES)
    height, width, _ = train.picture_shape
    description = (
        f"{file.source}: {len(train)} training and {len(validation)} validation images of {len(file.classes)} "
        f"classes, packed at {height}x{width}"
    )
    return Split(train, validation, description, _augmentation(file), file.metadata.get("resized") == "yes")


def pixel_digest(pixels: npt.NDArray[np.uint8]) -> bytes:
    """BLAKE2b of 128 bits over contiguous pixels."""
    return hashlib.blake2b(pixels.data, digest_size=DIGEST_BYTES).digest()


def augmentation_to_text(augmentation: Augmentation | None) -> str:
    """As a packed file holds it: what differs from doing nothing, in JSON."""
    if augmentation is None:
        return "null"
    nothing = asdict(Augmentation())
    return json.dumps({name: value for name, value in asdict(augmentation).items() if value != nothing[name]})


def augmentation_from_text(text: str) -> Augmentation | None:
    """What `augmentation_to_text` wrote.

    Raises:
        ValueError, TypeError, UsageError: it did not, or another version of gpunn did.
    """
    fields: dict[str, Any] | None = json.loads(text)
    if fields is None:
        return None
    return Augmentation(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:
    """JSON has no tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _augmentation(file: PackedFile) -> Augmentation | None:
    """What the source's pictures may be put through; they were decoded once to be cropped now, not scaled again."""
    text = file.metadata.get("augmentation", "null")
    try:
        found = augmentation_from_text(text)
    except (ValueError, TypeError, AttributeError, UsageError):
        warnings.warn(f"{file.source}: the augmentation {text[:200]} is unknown here", DataWarning, stacklevel=3)
        return None
    if found is None or found.crop_area is None:
        return found
    return replace(found, crop_area=None, crop_window=True)


def _reopen(path: str, half: str, sha256: str) -> PackedDataset:
    file = PackedFile(path)
    if file.sha256 != sha256:
        raise DataError(f"{file.source} was replaced while it was in use; start again")
    return PackedDataset(file, half)
