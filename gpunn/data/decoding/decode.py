"""One image file as RGB."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.data.decoding.pillow import PillowDecoder


def decode_rgb(encoded: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of an image file with these contents, (H, W, 3); gray is repeated.

    Raises:
        DataError: as `PillowDecoder`; the text tells why, not which file.
    """
    pixels = PillowDecoder().open(encoded).pixels()
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
