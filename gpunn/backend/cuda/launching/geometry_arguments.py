"""The geometries as kernels take them: structures of kernels/geometry.cuh, passed by value."""

from __future__ import annotations

import numpy as np

from gpunn.backend.contract import DType
from gpunn.geometry import Conv2dGeometry, Pool2dGeometry


def _structure(*fields: str) -> DType:
    return np.dtype([(field, np.int32) for field in fields])


#: The structures that kernels declare, with their fields in the order of kernels/geometry.cuh.
STRUCTURES: dict[str, DType] = {
    "Convolution2d": _structure(
        *("N", "H", "W", "C", "K", "R", "S", "P", "Q", "groups", "group_channels", "group_filters"),
        *("stride_rows", "stride_columns", "padding_top", "padding_left", "dilation_rows", "dilation_columns"),
    ),
    "Pool2d": _structure(
        *("N", "H", "W", "C", "R", "S", "P", "Q", "stride_rows", "stride_columns", "padding_top", "padding_left")
    ),
}


def convolution2d_argument(geometry: Conv2dGeometry) -> np.void:
    """A Convolution2d of kernels/geometry.cuh."""
    g = geometry
    sizes = (g.N, g.H, g.W, g.C, g.K, g.R, g.S, g.P, g.Q, g.groups, g.C // g.groups, g.K // g.groups)
    return _value("Convolution2d", *sizes, *g.stride, g.padding.top, g.padding.left, *g.dilation)


def pool2d_argument(geometry: Pool2dGeometry) -> np.void:
    """A Pool2d of kernels/geometry.cuh."""
    g = geometry
    return _value("Pool2d", g.N, g.H, g.W, g.C, g.R, g.S, g.P, g.Q, *g.stride, g.padding.top, g.padding.left)


def _value(structure: str, *fields: int) -> np.void:
    value: np.void = np.array([fields], STRUCTURES[structure])[0]
    return value
