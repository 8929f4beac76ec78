"""Crops: the shape of the pictures, the size of the crop, and (top, left, mirror) of each picture."""

from __future__ import annotations

CROPS: dict[str, tuple[tuple[int, int, int, int], tuple[int, int], list[tuple[int, int, int]]]] = {
    "whole pictures": ((2, 5, 4, 3), (5, 4), [(0, 0, 0), (0, 0, 0)]),
    "mirrored": ((2, 5, 4, 3), (5, 4), [(0, 0, 1), (0, 0, 0)]),
    "inside": ((3, 8, 9, 3), (5, 4), [(0, 0, 0), (3, 5, 1), (2, 1, 1)]),
    "past each side": ((4, 6, 6, 1), (6, 6), [(-2, 0, 0), (1, -3, 1), (3, 2, 0), (-1, 4, 1)]),
    "larger than the picture": ((2, 3, 3, 2), (7, 8), [(-2, -2, 0), (-1, -3, 1)]),
    "nothing of the picture": ((2, 3, 3, 3), (2, 2), [(5, 0, 0), (0, -9, 1)]),
    "sixteen columns, past two sides": ((2, 5, 17, 3), (4, 16), [(0, 3, 1), (2, -3, 0)]),
    "one pixel": ((1, 1, 1, 1), (1, 1), [(0, 0, 1)]),
}
