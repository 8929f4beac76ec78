"""Antialiased bilinear scaling in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def weights(first: float, last: float, count: int, size: int) -> npt.NDArray[np.float64]:
    """(count, size): how much each of `size` pixels of one axis adds to each of `count` that show [first, last].

    A triangle about the middle of the output pixel, one output pixel to either side, or one input pixel where that
    is more; what of it lies outside the picture is left out, and the rest adds up to 1.
    """
    step = (last - first) / count
    middles = first + (np.arange(count)[:, np.newaxis] + 0.5) * step
    rows = np.maximum(1.0 - np.abs(np.arange(size) + 0.5 - middles) / max(step, 1.0), 0.0)
    return rows / rows.sum(axis=1, keepdims=True)


def scaled(
    pixels: npt.NDArray[np.uint8], height: int, width: int, box: tuple[float, float, float, float]
) -> npt.NDArray[np.float64]:
    """The region `box` (left, top, right, bottom) of (H, W, C) as (height, width, C), without any rounding."""
    left, top, right, bottom = box
    down = weights(top, bottom, height, pixels.shape[0])
    across = weights(left, right, width, pixels.shape[1])
    rows = np.einsum("yi,ijc->yjc", down, pixels.astype(np.float64))
    return np.einsum("xj,yjc->yxc", across, rows)
