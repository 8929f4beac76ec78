"""Poolings that every backend must get right: small, and each different in one respect."""

from __future__ import annotations

from gpunn.geometry import Padding, Pair, Pool2dGeometry


def _square(
    N: int, size: int, C: int, window: int, stride: int, padding: int = 0, ceil_mode: bool = False
) -> Pool2dGeometry:
    sides = Padding(padding, padding, padding, padding)
    return Pool2dGeometry(N, size, size, C, window, window, Pair(stride, stride), sides, ceil_mode)


POOLINGS: dict[str, Pool2dGeometry] = {
    "one of everything": _square(1, 1, 1, 1, 1),
    "1x1 window": _square(3, 4, 2, 1, 1),
    "2x2, stride 2": _square(3, 6, 5, 2, 2),
    "2x2, stride 2, odd image": _square(2, 7, 3, 2, 2),
    "2x2, stride 1": _square(2, 4, 3, 2, 1),
    "3x3, stride 2": _square(5, 7, 3, 3, 2),
    "3x3, stride 2, padded": _square(2, 8, 3, 3, 2, padding=1),
    "3x3, stride 1, padded, one channel": _square(3, 5, 1, 3, 1, padding=1),
    "3x3, stride 2, last window past the end": _square(2, 6, 3, 3, 2, ceil_mode=True),
    "3x3, stride 2, padded, last window past the end": _square(2, 7, 2, 3, 2, padding=1, ceil_mode=True),
    "last window would start in the padding": _square(1, 5, 2, 2, 2, padding=1, ceil_mode=True),
    "window of the whole image": _square(3, 5, 2, 5, 1),
    "window larger than the image": _square(2, 3, 2, 5, 2, padding=2),
    "1x1 map": _square(3, 1, 4, 3, 1, padding=1),
    "stride above the window": _square(2, 8, 3, 2, 3),
    "1x1 window, stride 3": _square(2, 7, 3, 1, 3),
    "stride above the image": _square(2, 3, 3, 2, 7),
    "four-sided padding": Pool2dGeometry(2, 5, 6, 3, 4, 3, Pair(1, 2), Padding(0, 2, 1, 2)),
    "padding at the start only, exact tiling": Pool2dGeometry(2, 5, 3, 2, 2, 2, Pair(2, 2), Padding(1, 0, 1, 0)),
    "padding at the start only, last row unread": Pool2dGeometry(2, 6, 6, 2, 2, 2, Pair(2, 2), Padding(1, 0, 1, 0)),
    "uneven window and stride": Pool2dGeometry(3, 9, 7, 2, 2, 3, Pair(3, 2), Padding(1, 0, 1, 1)),
    "one row": Pool2dGeometry(2, 1, 9, 3, 1, 4, Pair(1, 2), Padding(0, 0, 1, 2)),
    "one column": Pool2dGeometry(2, 9, 1, 3, 3, 1, Pair(2, 1), Padding(1, 1, 0, 0)),
    "sixteen channels": _square(2, 7, 16, 2, 2),
    "sixteen channels, 3x3, stride 2": Pool2dGeometry(2, 7, 8, 16, 3, 3, Pair(2, 2)),
    "sixteen channels, overlapping, padded": _square(1, 5, 16, 3, 2, padding=1),
    "more channels than threads lie side by side": _square(2, 3, 130, 2, 1),
    "256 places": _square(1, 17, 1, 16, 1),
    "more than 256 places": _square(1, 19, 1, 17, 2),
}
