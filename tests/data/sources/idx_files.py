"""IDX files that the tests make, byte by byte after the format's description."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt


def idx(shape: Sequence[int], content: bytes, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + content


def write_half(
    folder: Path, half: str, images: npt.NDArray[np.uint8], labels: Sequence[int], *, packed: bool = False
) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in (
        (f"{half}-images-idx3-ubyte", idx(images.shape, images.tobytes())),
        (f"{half}-labels-idx1-ubyte", idx([len(labels)], bytes(labels))),
    ):
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
