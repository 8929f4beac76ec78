"""Shapes to normalise, and how many groups divide their channels."""

from __future__ import annotations

#: (shape, groups)
NORMALIZATIONS: dict[str, tuple[tuple[int, ...], int]] = {
    "images": ((4, 5, 3, 6), 3),
    "odd batch, three channels": ((7, 3, 3, 3), 1),
    "one channel": ((3, 4, 5, 1), 1),
    "one image": ((1, 6, 5, 4), 2),
    "1x1 maps": ((9, 1, 1, 8), 4),
    "a group for each channel": ((2, 3, 4, 5), 5),
    "vectors": ((11, 12), 3),
    "vectors, one feature": ((6, 1), 1),
    "a prime number of rows": ((13, 1, 1, 2), 2),
}

#: Channels in several tiles of threads, and so many rows that they are cut into slices; too large for differences of
#: every element.
LARGE_NORMALIZATIONS: dict[str, tuple[tuple[int, ...], int]] = {
    "two tiles of channels": ((2, 2, 3, 72), 3),
    "several slices of rows": ((3, 23, 31, 16), 16),
    "slices without vectors": ((2, 33, 37, 3), 3),
}
