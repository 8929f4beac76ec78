"""Crop, mirror and normalise pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]


def normalize(images: Host, placement: Host, size: tuple[int, int], mean: Host, deviation: Host) -> Host:
    """(N, H, W, C) in float64; pixels outside the picture count as 0."""
    N, H0, W0, C = images.shape
    H, W = size
    y = np.zeros((N, H, W, C))
    for n, h, w, c in np.ndindex(y.shape):
        top, left, mirror = (int(value) for value in placement[n])
        row, column = top + h, left + (W - 1 - w if mirror else w)
        inside = 0 <= row < H0 and 0 <= column < W0
        pixel = int(images[n, row, column, c]) if inside else 0
        y[n, h, w, c] = (pixel / 255 - float(mean[c])) / float(deviation[c])
    return y
