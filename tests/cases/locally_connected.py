"""Locally connected layers that every backend must get right."""

from __future__ import annotations

from gpunn.geometry import Conv2dGeometry, Padding, Pair

LOCALLY_CONNECTED: dict[str, Conv2dGeometry] = {
    "one of everything": Conv2dGeometry(1, 1, 1, 1, 1, 1, 1),
    "1x1": Conv2dGeometry(3, 4, 5, 9, 4, 1, 1),
    "1x1, few channels": Conv2dGeometry(2, 4, 3, 2, 4, 1, 1),
    "3x3, one channel": Conv2dGeometry(5, 6, 6, 1, 4, 3, 3),
    "3x3 same, three channels": Conv2dGeometry(4, 6, 5, 3, 4, 3, 3, padding=Padding(1, 1, 1, 1)),
    "3x3 same": Conv2dGeometry(3, 5, 6, 8, 7, 3, 3, padding=Padding(1, 1, 1, 1)),
    "1x1 map, batch of one": Conv2dGeometry(1, 1, 1, 8, 3, 3, 3, padding=Padding(1, 1, 1, 1)),
    "window larger than the image": Conv2dGeometry(2, 2, 3, 8, 3, 5, 6, padding=Padding(2, 2, 2, 3)),
    "stride 2, four-sided padding": Conv2dGeometry(3, 8, 7, 9, 2, 3, 4, Pair(2, 2), Padding(0, 2, 1, 3)),
    "stride above the window": Conv2dGeometry(2, 11, 10, 8, 3, 2, 1, Pair(3, 4)),
    "dilation 2": Conv2dGeometry(2, 8, 9, 8, 3, 3, 3, padding=Padding(2, 2, 1, 1), dilation=Pair(2, 2)),
    "dilation 2, stride 3": Conv2dGeometry(2, 11, 9, 3, 4, 4, 3, Pair(3, 3), Padding(1, 2, 2, 1), Pair(2, 2)),
    "more images than a thread takes": Conv2dGeometry(19, 3, 4, 5, 6, 2, 2),
    "more filters than a warp has lanes": Conv2dGeometry(2, 4, 3, 4, 41, 2, 2, padding=Padding(1, 0, 0, 1)),
    "several blocks": Conv2dGeometry(17, 22, 20, 8, 12, 5, 5, padding=Padding(2, 2, 2, 2)),
    "rows cut into blocks": Conv2dGeometry(96, 2, 40, 16, 4, 3, 3, padding=Padding(1, 1, 1, 1)),
}
