"""Pooling as plain float64 loops over images, windows and channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpunn.geometry import Pool2dGeometry

Host = np.ndarray[Any, Any]


def _windows(geometry: Pool2dGeometry) -> Iterator[tuple[int, int, list[tuple[int, int, int]]]]:
    """Every output pixel (p, q) with the pixels of its window that lie in the image: (r * S + s, h, w)."""
    for p in range(geometry.P):
        for q in range(geometry.Q):
            pixels = []
            for r in range(geometry.R):
                for s in range(geometry.S):
                    h = p * geometry.stride.rows + r - geometry.padding.top
                    w = q * geometry.stride.columns + s - geometry.padding.left
                    if 0 <= h < geometry.H and 0 <= w < geometry.W:
                        pixels.append((r * geometry.S + s, h, w))
            yield p, q, pixels


def _each_window(
    x: Host, geometry: Pool2dGeometry
) -> Iterator[tuple[tuple[int, int, int, int], list[Any], list[float]]]:
    """Every output element's index, the pixels of its window, and their values."""
    for p, q, pixels in _windows(geometry):
        for n in range(geometry.N):
            for c in range(geometry.C):
                yield (n, p, q, c), pixels, [float(x[n, h, w, c]) for _, h, w in pixels]


def _middle_places(values: list[float]) -> tuple[int, int]:
    """Where the two middle values stand first."""
    ordered = sorted(values)
    return values.index(ordered[(len(values) - 1) // 2]), values.index(ordered[len(values) // 2])


def maximum(x: Host, geometry: Pool2dGeometry) -> tuple[Host, Host]:
    """The largest of each window, and the number of its first place."""
    y, argmax = np.zeros(geometry.output_shape), np.zeros(geometry.output_shape, np.int64)
    for index, pixels, values in _each_window(x, geometry):
        y[index] = max(values)
        argmax[index] = pixels[values.index(max(values))][0]
    return y, argmax


def mean(x: Host, geometry: Pool2dGeometry) -> Host:
    """The mean of the pixels in the image."""
    y = np.zeros(geometry.output_shape)
    for index, _, values in _each_window(x, geometry):
        y[index] = sum(values) / len(values)
    return y


def median(x: Host, geometry: Pool2dGeometry) -> Host:
    """The median of the pixels in the image."""
    y = np.zeros(geometry.output_shape)
    for index, _, values in _each_window(x, geometry):
        lower, upper = _middle_places(values)
        y[index] = (values[lower] + values[upper]) / 2
    return y


def maximum_backward(gy: Host, x: Host, geometry: Pool2dGeometry) -> Host:
    """gy to the first of the largest."""
    gx = np.zeros(geometry.input_shape)
    for (n, p, q, c), pixels, values in _each_window(x, geometry):
        _, h, w = pixels[values.index(max(values))]
        gx[n, h, w, c] += gy[n, p, q, c]
    return gx


def mean_backward(gy: Host, geometry: Pool2dGeometry) -> Host:
    """An equal share of gy to each pixel in the image."""
    gx = np.zeros(geometry.input_shape)
    for (n, p, q, c), pixels, _ in _each_window(gx, geometry):
        for _, h, w in pixels:
            gx[n, h, w, c] += float(gy[n, p, q, c]) / len(pixels)
    return gx


def median_backward(gy: Host, x: Host, geometry: Pool2dGeometry) -> Host:
    """Half of gy to each middle pixel, the first of equal ones."""
    gx = np.zeros(geometry.input_shape)
    for (n, p, q, c), pixels, values in _each_window(x, geometry):
        for place in _middle_places(values):
            _, h, w = pixels[place]
            gx[n, h, w, c] += float(gy[n, p, q, c]) / 2
    return gx
