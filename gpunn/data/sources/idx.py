"""Arrays in IDX files, as MNIST and the data sets like it are handed out.

An IDX file begins with two zero bytes, the type of its numbers (8: unsigned bytes) and how many dimensions it has;
then the size of each dimension follows in four bytes, the highest first, then the numbers, the last dimension changing
fastest (LeCun, Cortes and Burges, "The MNIST database of handwritten digits").
"""

from __future__ import annotations

import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpunn.data.names import printable
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.class_names import class_names
from gpunn.data.sources.halves import Halves
from gpunn.errors import DataError

LAYOUT = "IDX files train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, plain or .gz"

_NAME = re.compile(
    r"(?:.*-)?(?P<half>train|t10k|test|val|validation)-(?P<what>images|labels)[-.]idx[13]-ubyte(?:\.gz)?"
)
_DIMENSIONS = {"images": 3, "labels": 1}
_UNSIGNED_BYTES = 8
_GZIP = b"\x1f\x8b"
_DEFLATE_RATIO = 1032
"""The most bytes that one byte of deflated data stands for (RFC 1951: 258 for each two bits)."""


def is_idx(path: Path) -> bool:
    """Whether it is a folder with images in an IDX file."""
    return path.is_dir() and any(files.get("images") for files in _files(path).values())


def read_idx_folder(path: Path) -> Halves:
    """The data set in the IDX files of a folder; pictures are gray, (H, W, 1).

    Raises:
        DataError: a file lacks its counterpart, there are two for one purpose, or as `read_idx` and `ArrayDataset`.
    """
    source = f"'{printable(path)}'"
    halves = {}
    for half, files in _files(path).items():
        arrays = {what: read_idx(_only(files, half, what, source), count) for what, count in _DIMENSIONS.items()}
        halves["train" if half == "train" else "validation"] = arrays
    classes = class_names(path, halves.get("train", halves.get("validation", {}))["labels"])
    datasets = {
        half: ArrayDataset(arrays["images"], arrays["labels"], classes, f"the {half} images in {source}")
        for half, arrays in halves.items()
    }
    return Halves(source, datasets.get("train"), datasets.get("validation"))


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The numbers in an IDX file, plain or compressed by gzip.

    Raises:
        DataError: it cannot be read, or as `parse_idx`.
    """
    source = f"'{printable(path)}'"
    try:
        with path.open("rb") as stream:
            packed = stream.read(len(_GZIP)) == _GZIP
            stream.seek(0)
            size = os.fstat(stream.fileno()).st_size
            if not packed:
                return parse_idx(stream, size, dimensions, source)
            with gzip.open(stream) as unpacked:
                return parse_idx(unpacked, size * _DEFLATE_RATIO, dimensions, source)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{source} is not a readable IDX file: {printable(str(error))}; get it again") from error


def parse_idx(stream: io.BufferedIOBase, most: int, dimensions: int, source: str) -> npt.NDArray[np.uint8]:
    """The numbers in the contents of an IDX file.

    Args:
        stream: at the start of the contents.
        most: bytes that there can be; no memory is taken for more.
        dimensions: that it must have.
        source: what it is, for messages.

    Raises:
        DataError: the type or the number of dimensions is another, or there are fewer or more bytes than announced.
    """
    magic, sizes = stream.read(4), stream.read(4 * dimensions)
    if magic != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        raise DataError(
            f"{source} is no IDX file of unsigned bytes in {dimensions} dimensions: it begins with '{magic.hex(' ')}' "
            f"instead of '00 00 08 {dimensions:02x}'"
        )
    shape = tuple(np.frombuffer(sizes, ">u4").tolist()) if len(sizes) == 4 * dimensions else ()
    shown = " x ".join(map(str, shape)) or "an unfinished header"
    count = math.prod(shape)
    if not shape or count > most:
        raise DataError(f"{source} is truncated: it announces {shown} and is too short for that; get it again")
    numbers = np.empty(count, np.uint8)
    room = numbers.data
    filled = 0
    while filled < count:
        read = stream.readinto(room[filled:])
        if not read:
            raise DataError(f"{source} is truncated: {filled} of {count} bytes ({shown}) are there; get it again")
        filled += read
    if stream.read(1):
        raise DataError(
            f"{source} is damaged: it goes on after the {count} bytes ({shown}) that it announces; get it again"
        )
    return numbers.reshape(shape)


def _files(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """The IDX files of a folder by the half and by what they hold; of a file and its .gz, the file alone."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    found: dict[str, dict[str, list[Path]]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match and name.removesuffix(".gz") not in (set(names) - {name}):
            found.setdefault(match["half"], {}).setdefault(match["what"], []).append(folder / name)
    return found


def _only(files: Mapping[str, list[Path]], half: str, what: str, source: str) -> Path:
    candidates = files.get(what, [])
    if len(candidates) != 1:
        names = ", ".join(printable(path.name) for path in candidates) or "none"
        raise DataError(f"{source} must hold one IDX file of {half}-{what}; there is {names}")
    return candidates[0]
