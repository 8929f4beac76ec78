"""The counter-based generator that every device agrees on: Philox4x64-10.

(Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.) A number depends only on a
key (seed, stream) and a counter (block, word, word, word), never on what was drawn before it, so no result
depends on the number of threads, workers or devices. NumPy's Philox is this generator; it raises the counter
before each block of four 64-bit words, so block b is computed from the counter b + 1.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from gpunn.errors import UsageError


class Stream(IntEnum):
    """What a sequence of random numbers is for; different purposes never share numbers."""

    INITIALIZATION = 1
    SHUFFLE = 2
    AUGMENTATION = 3
    DROPOUT = 4
    SPLIT = 5
    NOISE = 6
    ERASING = 7
    SYNTHESIS = 8


def generator(seed: int, stream: Stream, first: int = 0, second: int = 0) -> np.random.Generator:
    """A generator whose numbers depend only on these arguments.

    Args:
        seed: the seed of the run.
        stream: what the numbers are for.
        first: the second word of the counter, such as a step or an index.
        second: the third word of the counter, such as a layer or an epoch.

    Raises:
        UsageError: when the seed is negative or does not fit 64 bits.
    """
    if not 0 <= seed < 2**64:
        raise UsageError(f"seed {seed} is not possible; give a number from 0 to 2^64 - 1")
    # A list would pass through float64, which does not hold every 64-bit seed.
    key = np.array([seed, int(stream)], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, first, second, 0]))


class Positions:
    """The generators of many places in one stream, for a fraction of what making each of them takes.

    Args:
        seed: the seed of the run.
        stream: what the numbers are for.
        second: the third word of the counter, such as an epoch.

    Raises:
        UsageError: when the seed is negative or does not fit 64 bits.
    """

    def __init__(self, seed: int, stream: Stream, second: int = 0) -> None:
        self._generator = generator(seed, stream, second=second)
        self._second = second
        self._state = dict(self._generator.bit_generator.state)

    def at(self, first: int) -> np.random.Generator:
        """What `generator(seed, stream, first, second)` makes; it serves until the next call."""
        self._state["state"]["counter"] = (0, first, self._second, 0)
        self._generator.bit_generator.state = self._state
        return self._generator
