"""One image file as pixels."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from gpunn.data.decoding.file import read_file
from gpunn.data.decoding.pillow import MAXIMUM_PIXELS, PillowDecoder
from gpunn.data.names import printable
from gpunn.errors import DataError


def decode(
    path: str | bytes | os.PathLike[str], *, keep_gray: bool = False, maximum_pixels: int = MAXIMUM_PIXELS
) -> npt.NDArray[np.uint8]:
    """The pixels of an image file, (H, W, 3), or (H, W, 1) for a gray picture if `keep_gray`.

    Args:
        path: the file; its contents, not its suffix, tell the format.
        keep_gray: leave a gray picture at one channel instead of repeating it.
        maximum_pixels: a larger picture is refused before memory is taken for it.

    Raises:
        DataError: the file is missing, empty, truncated, of another format, too large, or of a kind of pixel that
            has no defined meaning here; the text names the file and the reason.
    """
    try:
        pixels = PillowDecoder(maximum_pixels).open(read_file(path)).pixels()
    except DataError as error:
        raise DataError(f"'{printable(path)}': {error}") from error
    return pixels if keep_gray or pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
