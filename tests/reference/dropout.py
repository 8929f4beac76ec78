"""Philox4x64-10 in Python integers (Salmon et al., 2011, section 4.2 and table 2), and the masks it gives."""

from __future__ import annotations

import numpy as np

from gpunn.backend.attributes import Dropout

WORD = 2**64
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
#: The golden ratio and the root of 3, less 1, as fractions of 2^64.
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
DROPOUT_STREAM = 4


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """The four 64-bit words of one block, after ten rounds."""
    for _ in range(10):
        high_0, low_0 = divmod(MULTIPLIERS[0] * counter[0], WORD)
        high_1, low_1 = divmod(MULTIPLIERS[1] * counter[2], WORD)
        counter = (high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0)
        key = ((key[0] + WEYL[0]) % WORD, (key[1] + WEYL[1]) % WORD)
    return counter


def number(index: int, step: int, settings: Dropout) -> int:
    """The 32-bit number of element `index` of the whole batch."""
    block, place = divmod(index, 8)
    words = philox((block + 1, step, settings.layer, 0), (settings.seed, DROPOUT_STREAM))
    return (words[place // 2] >> (32 * (place % 2))) % 2**32


def mask(shape: tuple[int, ...], first_image: int, step: int, settings: Dropout) -> np.ndarray:
    """1 where an element is kept."""
    size = int(np.prod(shape))
    start = first_image * (size // shape[0])
    kept = [number(start + i, step, settings) >> 8 >= round(settings.p * 2**24) for i in range(size)]
    return np.array(kept, np.uint8).reshape(shape)
