"""Fashion-MNIST: 70,000 gray pictures of clothes, 28x28 (Xiao, Rasul and Vollgraf, 2017)."""

from __future__ import annotations

import gzip
import hashlib
import io
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.cache import CacheFiles, cache_folder
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import DataWarning, Split
from gpunn.data.names import printable
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.download import download
from gpunn.data.sources.idx import parse_idx
from gpunn.errors import DataError

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

AUGMENTATION = Augmentation(shift=0.04, scale=(0.95, 1.05), mirror=0.5)
"""A garment may lie a little elsewhere or the other way round; turned or slanted it would not be what a shop shows."""

SETTINGS: Mapping[str, Any] = {"epochs": 30, "weight_decay": 5e-4}
"""With these, LeNet and its recipe reach 92% on the test images."""

_PACKAGE = "dataset-fashion-mnist"
_MOST_PACKED = 1 << 26
_MOST = 1 << 27


@dataclass(frozen=True)
class Origin:
    """Where the four files are found, and what they hold.

    Attributes:
        folder: where the operating system's package has them.
        address: of the folder they can be downloaded from.
        digests: the SHA-256 of what each file holds once it is unpacked, by its name; packers may differ.
    """

    folder: Path
    address: str
    digests: Mapping[str, str]


OFFICIAL = Origin(
    Path("/usr/share/datasets/fashion-mnist"),
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)


def read_fashion_mnist(origin: Origin = OFFICIAL) -> Split:
    """60,000 training images and, to measure on, the 10,000 test images, 28x28x1.

    The files are looked for in the folder of the operating system's package, then in the cache; then they are
    downloaded into it. A folder in which a file does not hold what it should is passed over with a DataWarning.

    Raises:
        DataError: they are nowhere and cannot be downloaded; the text says what to do.
    """
    cache = CacheFiles(cache_folder("fashion-mnist"))
    damaged: list[Path] = []
    contents = (
        _from_folder(origin.folder, origin, damaged)
        or _from_folder(cache.folder, origin, damaged)
        or _downloaded(origin, cache, damaged)
    )
    halves = [
        ArrayDataset(
            _array(contents, f"{half}-images-idx3-ubyte.gz", 3),
            _array(contents, f"{half}-labels-idx1-ubyte.gz", 1),
            CLASSES,
            source,
        )
        for half, source in (("train", "Fashion-MNIST's training images"), ("t10k", "Fashion-MNIST's test images"))
    ]
    return Split(
        halves[0],
        halves[1],
        f"fashion-mnist: {len(halves[0])} training images and {len(halves[1])} test images of "
        f"{len(CLASSES)} classes, 28x28x1",
        AUGMENTATION,
    )


def _array(contents: Mapping[str, bytes], name: str, dimensions: int) -> npt.NDArray[np.uint8]:
    return parse_idx(io.BytesIO(contents[name]), len(contents[name]), dimensions, name)


def _from_folder(folder: Path, origin: Origin, damaged: list[Path]) -> dict[str, bytes] | None:
    """What the four files of a folder hold; None where one is not there, or not sound: that is noted in `damaged`."""
    contents = {}
    for name, digest in origin.digests.items():
        path = folder / name
        if not path.is_file():
            return None
        try:
            contents[name] = _unpacked(path.read_bytes(), digest)
        except (OSError, DataError) as error:
            damaged.append(path)
            warnings.warn(
                f"'{printable(path)}' is damaged: {printable(str(error))}; its folder is passed over",
                DataWarning,
                stacklevel=2,
            )
            return None
    return contents


def _downloaded(origin: Origin, cache: CacheFiles, damaged: Sequence[Path]) -> dict[str, bytes]:
    files = " and ".join(f"'{printable(path)}'" for path in damaged)
    found = (
        f"fashion-mnist is damaged on this machine, in {files}" if damaged else "fashion-mnist is not on this machine"
    )
    warnings.warn(
        f"{found}: 31 MB are downloaded from {origin.address} into '{printable(cache.folder)}'",
        DataWarning,
        stacklevel=2,
    )
    packed = {}
    contents = {}
    try:
        for name, digest in origin.digests.items():
            packed[name] = download(origin.address + name, most=_MOST_PACKED)
            contents[name] = _unpacked(packed[name], digest)
    except DataError as error:
        replace = f"Replace {files} by sound files, or install" if damaged else "Install"
        raise DataError(
            f"{found} and cannot be downloaded: {error}. {replace} Debian's package {_PACKAGE}, or put "
            f"{', '.join(origin.digests)} into '{printable(cache.folder)}'"
        ) from error
    for name, content in packed.items():
        cache.write(name, content)
    return contents


def _unpacked(packed: bytes, digest: str) -> bytes:
    """What a file compressed by gzip holds.

    Raises:
        DataError: it cannot be unpacked, or it is not what has that SHA-256.
    """
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            content = stream.read(_MOST)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"it cannot be unpacked ({error})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise DataError(f"its contents have SHA-256 {found}; those of Fashion-MNIST have {digest}")
    return content
