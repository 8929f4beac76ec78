"""Shapes of arrays to be copied, flattened and joined."""

from __future__ import annotations

IMAGES: dict[str, tuple[int, int, int, int]] = {
    "images": (3, 4, 5, 6),
    "one channel": (2, 3, 2, 1),
    "three channels, odd batch": (5, 2, 3, 3),
    "1x1 maps": (4, 1, 1, 7),
    "one element": (1, 1, 1, 1),
}
VECTORS: dict[str, tuple[int, ...]] = {"vectors": (4, 9), "one feature": (5, 1), "flat": (17,)}
