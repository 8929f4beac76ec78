"""Exercises of poolings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpunn.geometry import Pair, Pool2dGeometry
from tests.cases.pooling import POOLINGS
from tests.kernels.exercises.arrays import Arrays

POOLED = [
    POOLINGS[name]
    for name in (
        "3x3, stride 2, padded, last window past the end",
        "four-sided padding",
        "stride above the window",
        "uneven window and stride",
        "sixteen channels",
        "sixteen channels, overlapping, padded",
        "more channels than threads lie side by side",
    )
]
#: Windows of 2x2 and 3x3 with stride 2, all within the image.
HALVING = (
    Pool2dGeometry(2, 7, 6, 16, 2, 2, Pair(2, 2)),
    Pool2dGeometry(1, 7, 8, 16, 3, 3, Pair(2, 2)),
    Pool2dGeometry(1, 4, 4, 264, 2, 2, Pair(2, 2)),
)
MANY_PLACES = (Pool2dGeometry(1, 5, 70, 3, 4, 65, Pair(1, 3)),)


def maximum_pooling(arrays: Arrays) -> None:
    _maximum_pooling(arrays, (*POOLED, *MANY_PLACES))


def halving_maximum_pooling(arrays: Arrays) -> None:
    _maximum_pooling(arrays, HALVING)


def _maximum_pooling(arrays: Arrays, geometries: Sequence[Pool2dGeometry]) -> None:
    for geometry in geometries:
        places = np.uint8 if geometry.R * geometry.S <= 256 else np.int32
        values = np.random.default_rng(3).integers(-3, 4, geometry.input_shape).astype(np.float32)
        values[0, 1, :2, 0] = np.nan
        x, y = arrays.upload(values), arrays.result(geometry.output_shape)
        argmax = arrays.result(geometry.output_shape, places)
        arrays.run.maximum_pool2d_forward(arrays.device, y, argmax, x, geometry)
        arrays.run.maximum_pool2d_forward(arrays.device, arrays.result(geometry.output_shape), None, x, geometry)
        gy = arrays.reals(geometry.output_shape)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, geometry.input_shape)
            arrays.run.maximum_pool2d_backward(arrays.device, gx, gy, argmax, geometry, accumulate)


def mean_pooling(arrays: Arrays) -> None:
    for geometry in POOLED:
        x, y = arrays.reals(geometry.input_shape), arrays.result(geometry.output_shape)
        arrays.run.mean_pool2d_forward(arrays.device, y, x, geometry)
        gy = arrays.reals(geometry.output_shape)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, geometry.input_shape)
            arrays.run.mean_pool2d_backward(arrays.device, gx, gy, geometry, accumulate)


def median_pooling(arrays: Arrays) -> None:
    scratch = arrays.workspace(0)
    for geometry in POOLED:
        values = np.random.default_rng(4).integers(-3, 4, geometry.input_shape).astype(np.float32)
        values[0, 1:3, 1, 0] = np.nan
        x, y = arrays.upload(values), arrays.result(geometry.output_shape)
        arrays.run.median_pool2d_forward(arrays.device, y, x, geometry, scratch)
        gy = arrays.reals(geometry.output_shape)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, geometry.input_shape)
            arrays.run.median_pool2d_backward(arrays.device, gx, gy, x, geometry, accumulate, scratch)


def global_mean_pooling(arrays: Arrays) -> None:
    for shape, sides in (((2, 5, 7, 40), 0), ((2, 3, 3, 8), 8), ((1, 1, 2, 3), 3)):
        x, y = arrays.reals(shape, sides=sides), arrays.result((shape[0], shape[-1]))
        arrays.run.global_mean_pool2d_forward(arrays.device, y, x)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, shape, sides=sides)
            arrays.run.global_mean_pool2d_backward(arrays.device, gx, y, accumulate)
