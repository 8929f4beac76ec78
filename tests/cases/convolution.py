"""Convolutions that every backend must get right: small, and each different in one respect."""

from __future__ import annotations

from gpunn.geometry import Conv2dGeometry, Padding, Pair


def _square(N: int, size: int, C: int, K: int, window: int, stride: int = 1, padding: int = 0) -> Conv2dGeometry:
    return Conv2dGeometry(
        N, size, size, C, K, window, window, Pair(stride, stride), Padding(padding, padding, padding, padding)
    )


#: Around tiles of 64 and 128, and with few outputs for their products, which are then shared by blocks.
TILES: dict[str, Conv2dGeometry] = {
    "one tile of 64": _square(1, 8, 16, 64, 1),
    "one tile of 128": Conv2dGeometry(2, 8, 8, 16, 128, 1, 1),
    "one pixel and one filter more than 64": Conv2dGeometry(1, 5, 13, 9, 65, 1, 1),
    "one pixel and one channel more than 128": Conv2dGeometry(1, 3, 43, 129, 4, 1, 1),
    "two groups of more filters than a tile": Conv2dGeometry(
        2, 5, 7, 6, 140, 3, 3, padding=Padding(1, 1, 1, 1), groups=2
    ),
    "many taps, few pixels": _square(2, 3, 68, 12, 3, padding=1),
    "many taps that no quad fits, few pixels": _square(2, 3, 67, 13, 3, padding=1),
    "many filters, few pixels, stride 2": _square(1, 5, 12, 132, 3, stride=2, padding=1),
    "many filters that no quad fits, two groups": Conv2dGeometry(1, 4, 5, 10, 262, 2, 3, Pair(2, 1), groups=2),
    "many pixels, few taps": Conv2dGeometry(4, 9, 11, 4, 4, 2, 2),
    "everything uneven": Conv2dGeometry(3, 9, 8, 6, 70, 4, 3, Pair(2, 3), Padding(3, 1, 0, 4), Pair(3, 1), groups=2),
}

CONVOLUTIONS: dict[str, Conv2dGeometry] = TILES | {
    "one of everything": _square(1, 1, 1, 1, 1),
    "1x1": _square(3, 5, 16, 12, 1),
    "1x1, one channel": _square(2, 4, 1, 3, 1),
    "1x1, stride 2": _square(3, 7, 9, 4, 1, stride=2),
    "1x1 with padding": _square(2, 4, 9, 3, 1, padding=1),
    "1x1 with padding at the end only": Conv2dGeometry(2, 4, 5, 9, 3, 1, 1, padding=Padding(0, 2, 0, 1)),
    "3x3 same": _square(5, 6, 8, 7, 3, padding=1),
    "3x3, one channel": _square(7, 8, 1, 5, 3),
    "3x3 same, three channels": _square(3, 7, 3, 10, 3, padding=1),
    "3x3, stride 2, three channels": _square(3, 9, 3, 6, 3, stride=2, padding=1),
    "5x5, batch of one": _square(1, 9, 2, 4, 5),
    "11x11, stride 4, three channels": _square(2, 23, 3, 5, 11, stride=4, padding=2),
    "window of the whole image": _square(4, 5, 10, 6, 5),
    "1x1 map": _square(3, 1, 12, 8, 3, padding=1),
    "window larger than the image": _square(2, 2, 9, 3, 5, padding=2),
    "window much larger than the image": Conv2dGeometry(2, 3, 2, 8, 3, 7, 5, padding=Padding(4, 5, 3, 2)),
    "stride above the window": _square(3, 11, 8, 5, 2, stride=3),
    "stride above the window, 1x1": _square(2, 10, 3, 5, 1, stride=4, padding=1),
    "stride above the image": _square(2, 4, 8, 3, 2, stride=7, padding=3),
    "unused rows at the end": _square(2, 10, 8, 4, 3, stride=4),
    "four-sided padding": Conv2dGeometry(2, 5, 6, 9, 4, 3, 2, padding=Padding(0, 2, 1, 3)),
    "full padding": _square(2, 4, 8, 3, 3, padding=2),
    "padding above the window": _square(2, 3, 8, 3, 2, padding=4),
    "uneven window and stride": Conv2dGeometry(3, 9, 7, 10, 6, 2, 3, Pair(3, 2), Padding(1, 0, 1, 1)),
    "one row": Conv2dGeometry(3, 1, 12, 8, 5, 1, 4, Pair(1, 2), Padding(0, 0, 1, 2)),
    "one column": Conv2dGeometry(3, 12, 1, 2, 5, 3, 1, Pair(2, 1), Padding(1, 1, 0, 0)),
    "dilation 2": Conv2dGeometry(2, 9, 8, 8, 4, 3, 3, dilation=Pair(2, 2), padding=Padding(2, 2, 2, 2)),
    "dilation 3 by 1, few channels": Conv2dGeometry(2, 10, 6, 2, 4, 3, 3, dilation=Pair(3, 1)),
    "dilation 2, stride 2": Conv2dGeometry(2, 9, 9, 8, 4, 3, 3, Pair(2, 2), Padding(1, 1, 2, 2), Pair(2, 2)),
    "dilation 2, stride 3": Conv2dGeometry(2, 11, 9, 8, 4, 4, 3, Pair(3, 3), Padding(1, 2, 2, 1), Pair(2, 2)),
    "dilation 4, stride 6": Conv2dGeometry(2, 20, 23, 8, 4, 4, 5, Pair(6, 6), Padding(3, 0, 2, 1), Pair(4, 4)),
    "dilation above the image": Conv2dGeometry(2, 3, 3, 8, 2, 3, 3, padding=Padding(5, 5, 5, 5), dilation=Pair(5, 5)),
    "two groups": Conv2dGeometry(3, 6, 6, 16, 10, 3, 3, padding=Padding(1, 1, 1, 1), groups=2),
    "two groups, 1x1": Conv2dGeometry(3, 4, 4, 20, 6, 1, 1, groups=2),
    "three groups of few channels": Conv2dGeometry(3, 6, 5, 6, 9, 3, 3, Pair(2, 1), groups=3),
    "four groups, dilated and strided": Conv2dGeometry(
        2, 9, 9, 32, 8, 3, 3, Pair(2, 2), Padding(2, 1, 2, 1), Pair(2, 2), groups=4
    ),
    "a group for each channel": Conv2dGeometry(2, 6, 6, 5, 5, 3, 3, padding=Padding(1, 1, 1, 1), groups=5),
    "a group for each channel, two filters each": Conv2dGeometry(2, 5, 6, 4, 8, 3, 3, groups=4),
    "few channels, many filters, dilation 2, stride 3": Conv2dGeometry(
        2, 11, 10, 2, 40, 4, 3, Pair(3, 3), Padding(1, 2, 2, 1), Pair(2, 2)
    ),
    "few channels, many filters, three groups": Conv2dGeometry(
        3, 6, 7, 6, 60, 3, 3, Pair(1, 2), Padding(1, 0, 2, 1), groups=3
    ),
    "few channels, many filters, window of the whole image": _square(4, 5, 6, 70, 5),
    "few channels, many filters, padding above the window": _square(2, 3, 1, 30, 2, padding=4),
    "few channels, many filters, several blocks": _square(33, 29, 3, 40, 5, stride=2),
    "more pixels than one block": _square(9, 24, 8, 20, 5),
    "more pixels than one block, few channels": _square(16, 28, 1, 20, 5, padding=2),
    "rows cut into blocks": Conv2dGeometry(64, 2, 40, 16, 8, 3, 3, padding=Padding(1, 1, 1, 1)),
    "strided, with several blocks": _square(33, 25, 12, 10, 3, stride=2, padding=1),
}
