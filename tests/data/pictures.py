"""Pictures and trees of pictures that the tests make for themselves."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def random_picture(seed: int, height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def write_jpeg(path: str | bytes | os.PathLike[str], seed: int, height: int = 12, width: int = 16) -> None:
    with open(path, "wb") as stream:
        Image.fromarray(random_picture(seed, height, width)).save(stream, "JPEG")


def write_tree(root: Path, counts: Mapping[str, int], first_seed: int = 0) -> Path:
    """root/CLASS/0.jpg, 1.jpg, ... with so many different JPEGs for each class."""
    seed = first_seed
    for name, count in counts.items():
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(count):
            write_jpeg(folder / f"{number}.jpg", seed, 8 + seed % 5, 9 + seed % 7)
            seed += 1
    return root


def png(width: int, height: int, depth: int, colour_type: int, scanlines: bytes, extra: bytes = b"") -> bytes:
    """A PNG file by its specification; `scanlines` are not compressed yet, `extra` are whole chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", zlib.compress(scanlines))
        + png_chunk(b"IEND", b"")
    )


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def encoded(picture: npt.NDArray[np.uint8] | Image.Image, kind: str, **options: Any) -> bytes:
    """A picture, or pixels (H, W, 1 or 3), as an image file of Pillow's format `kind`."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    stream = BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def smooth_picture(height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    """Slopes and one broad wave, of which compression loses next to nothing."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [230 * rows, 230 * columns, 120 + 100 * np.sin(5 * rows + 3 * columns)]
    return np.stack(planes[:channels], axis=2).round().astype(np.uint8)


def turned(tag: int) -> Image.Exif:
    """EXIF data with this orientation."""
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif
