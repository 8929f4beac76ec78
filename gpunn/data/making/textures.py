"""Patterns on rendered objects: for points of an object, how much of its second colour they have, from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from gpunn.data.making.shapes import Plane

Texture: TypeAlias = Callable[[Plane, Plane], Plane]

_WAVE = np.float32(2 * np.pi * 2.2)
"""Waves for each radius of an object."""


def _plain(u: Plane, v: Plane) -> Plane:
    return np.zeros_like(u)


def _stripes(u: Plane, v: Plane) -> Plane:
    return _steep(np.sin(_WAVE * u))


def _checks(u: Plane, v: Plane) -> Plane:
    wave = np.float32(0.75) * _WAVE
    return _steep(2 * np.sin(wave * u) * np.sin(wave * v))


def _dots(u: Plane, v: Plane) -> Plane:
    return _steep(np.cos(_WAVE * u) + np.cos(_WAVE * v) - np.float32(0.6))


def _rings(u: Plane, v: Plane) -> Plane:
    return _steep(np.sin(_WAVE * np.hypot(u, v)))


def _waves(u: Plane, v: Plane) -> Plane:
    return _steep(np.sin(_WAVE * (u + np.float32(0.18) * np.sin(_WAVE * v))))


def _rays(u: Plane, v: Plane) -> Plane:
    return _steep(2 * np.sin(9 * np.arctan2(v, u)))


def _ramp(u: Plane, v: Plane) -> Plane:
    return np.clip((u + 1) / 2, 0, 1)


def _grid(u: Plane, v: Plane) -> Plane:
    lines: Plane = np.maximum(np.cos(_WAVE * u), np.cos(_WAVE * v))
    return _steep(3 * (lines - np.float32(0.8)))


def _halves(u: Plane, v: Plane) -> Plane:
    return _steep(9 * v)


def _steep(wave: Plane) -> Plane:
    """Below and above 0, with a short way between."""
    share: Plane = np.clip(2 * wave + np.float32(0.5), 0, 1)
    return share


TEXTURES: Mapping[str, Texture] = {
    "plain": _plain,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "rings": _rings,
    "waves": _waves,
    "rays": _rays,
    "ramp": _ramp,
    "grid": _grid,
    "halves": _halves,
}
