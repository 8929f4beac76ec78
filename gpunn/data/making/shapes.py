"""Outlines of rendered objects.

Each function gives how far points lie outside an outline, negative inside it: exactly for some, nearly for others. An
object has a radius of about one and its middle at the origin; u points to its right and v downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.floating[Any]]
"""One number for each point, (H, W)."""

Shape: TypeAlias = Callable[[Plane, Plane], Plane]


def _disc(u: Plane, v: Plane) -> Plane:
    return np.hypot(u, v) - np.float32(0.95)


def _ring(u: Plane, v: Plane) -> Plane:
    distance: Plane = np.abs(np.hypot(u, v) - np.float32(0.72)) - np.float32(0.24)
    return distance


def _crescent(u: Plane, v: Plane) -> Plane:
    distance: Plane = np.maximum(_disc(u, v), np.float32(0.75) - np.hypot(u - np.float32(0.45), v))
    return distance


def _half_disc(u: Plane, v: Plane) -> Plane:
    distance: Plane = np.maximum(_disc(u, v - np.float32(0.4)), v - np.float32(0.4))
    return distance


def _pair(u: Plane, v: Plane) -> Plane:
    return np.hypot(np.abs(u) - np.float32(0.52), v) - np.float32(0.45)


def _bar(u: Plane, v: Plane) -> Plane:
    return np.maximum(np.abs(u) - np.float32(1.0), np.abs(v) - np.float32(0.36))


def _cross(u: Plane, v: Plane) -> Plane:
    return np.minimum(_bar(u, v), _bar(v, u))


def _polygon(u: Plane, v: Plane, corners: int, outer: float, inner: float) -> Plane:
    """A star with so many corners at radius `outer` and as many dents at `inner`; both are met by straight edges."""
    radius, sector = np.hypot(u, v), np.float32(np.pi / corners)
    turned = np.arctan2(v, u) + np.float32(np.pi / 2)
    angle = np.abs(np.mod(turned + sector, 2 * sector) - sector)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    # The edge from the corner (outer, 0) to the dent at the end of the sector.
    dent = np.float32(inner * np.cos(sector)), np.float32(inner * np.sin(sector))
    along = np.float32(dent[0] - outer), dent[1]
    length = np.float32(np.hypot(*along))
    distance: Plane = (along[1] * (x - np.float32(outer)) - along[0] * y) / length
    return distance


def _triangle(u: Plane, v: Plane) -> Plane:
    return _polygon(u, v, 3, 1.15, 0.575)


def _square(u: Plane, v: Plane) -> Plane:
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(0.82)


def _star(u: Plane, v: Plane) -> Plane:
    return _polygon(u, v, 5, 1.15, 0.5)


SHAPES: Mapping[str, Shape] = {
    "disc": _disc,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
    "square": _square,
    "crescent": _crescent,
    "star": _star,
    "bar": _bar,
    "halfdisc": _half_disc,
    "pair": _pair,
}
