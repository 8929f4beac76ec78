"""Exercises of convolutions: every tile of every kernel, with borders, groups, strides, slices and split sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from gpunn.backend.attributes import Arithmetic
from gpunn.backend.cuda.convolution_kernels.simt import SIMT_BACKWARD_DATA, SIMT_BACKWARD_FILTER, SIMT_FORWARD
from gpunn.backend.cuda.convolution_kernels.tensor_core import (
    TENSOR_CORE_BACKWARD_DATA,
    TENSOR_CORE_BACKWARD_FILTER,
    TENSOR_CORE_FORWARD,
)
from gpunn.backend.cuda.convolution_kernels.variants import BackwardDataCall, BackwardFilterCall, ForwardCall, Problem
from gpunn.geometry import Conv2dGeometry, Padding, Pair
from tests.backend.arrays import BFLOAT16, FLOAT32
from tests.cases.locally_connected import LOCALLY_CONNECTED
from tests.kernels.exercises.arrays import Arrays

SAME = Padding(1, 1, 1, 1)
#: Several slices of the depth, and nothing else.
SMALL = Conv2dGeometry(1, 6, 6, 16, 16, 3, 3, padding=SAME)
EVERY_FEATURE = Conv2dGeometry(1, 9, 8, 6, 14, 4, 3, Pair(2, 3), Padding(3, 1, 0, 4), Pair(2, 1), groups=2)
GEOMETRIES = (
    EVERY_FEATURE,
    # Groups of 16-byte pieces, and of more filters than a tile has; a stride, so that phases differ.
    Conv2dGeometry(1, 5, 6, 32, 144, 3, 3, Pair(2, 2), SAME, groups=2),
    # Many products for few outputs: the sums of y are split, then those of gx.
    Conv2dGeometry(1, 3, 3, 264, 16, 1, 1),
    Conv2dGeometry(1, 3, 3, 13, 265, 1, 1),
    # More pixels than a tile has, so that the filters' gradient is split; phases without taps, and smaller ones.
    Conv2dGeometry(2, 27, 19, 4, 8, 1, 1, Pair(2, 1)),
)
#: So many tiles that nothing is split, and each of many steps: over the taps, and over the pixels.
MANY_TAPS = Conv2dGeometry(1, 4, 4, 129 * 8, 129 * 8, 4, 4, groups=129)
MANY_PIXELS = Conv2dGeometry(1, 12, 13, 129 * 8, 129 * 8, 1, 1, groups=129)

#: The number type of the arrays, and that of the factors.
ORDINARY = (FLOAT32, "float32")
BFLOAT16_PRODUCTS = (BFLOAT16, "bfloat16")
TF32_PRODUCTS = (FLOAT32, "tf32")

Call = ForwardCall | BackwardDataCall | BackwardFilterCall
#: Calls of one variant for one problem.
Calls = Callable[[Arrays, Any, Problem], Iterator[Call]]
Exercises = tuple[Callable[[Arrays], None], ...]


def _forward(arrays: Arrays, variant: Any, problem: Problem) -> Iterator[ForwardCall]:
    geometry, dtype = problem.geometry, problem.dtype
    w, bias = arrays.reals(geometry.filter_shape, dtype), arrays.reals((geometry.K,))
    for sides, result, offset, apply_relu in (
        (0, dtype, None, False),
        (8, FLOAT32, bias, True),
        (3, dtype, bias, True),
    ):
        x, y = arrays.reals(geometry.input_shape, dtype, sides), arrays.result(geometry.output_shape, result, sides)
        scratch = arrays.workspace(variant.workspace(problem))
        yield ForwardCall(problem, y, x, w, offset, apply_relu, scratch)


def _backward_data(arrays: Arrays, variant: Any, problem: Problem) -> Iterator[BackwardDataCall]:
    geometry, dtype = problem.geometry, problem.dtype
    w = arrays.reals(geometry.filter_shape, dtype)
    for sides, accumulate, has_relu in ((0, True, False), (8, False, True), (3, False, False)):
        gx = arrays.target(accumulate, geometry.input_shape, dtype, sides)
        gy = arrays.reals(geometry.output_shape, dtype, sides)
        saved = arrays.reals(geometry.input_shape, dtype, sides) if has_relu else None
        scratch = arrays.workspace(variant.workspace(problem))
        yield BackwardDataCall(problem, gx, gy, w, saved, accumulate, scratch)


def _backward_filter(arrays: Arrays, variant: Any, problem: Problem) -> Iterator[BackwardFilterCall]:
    geometry, dtype = problem.geometry, problem.dtype
    for sides, accumulate, has_bias in ((0, False, True), (8, True, True), (3, False, False)):
        gw = arrays.target(accumulate, geometry.filter_shape)
        gbias = arrays.target(accumulate, (geometry.K,)) if has_bias else None
        x, gy = (arrays.reals(shape, dtype, sides) for shape in (geometry.input_shape, geometry.output_shape))
        scratch = arrays.workspace(variant.workspace(problem))
        yield BackwardFilterCall(problem, gw, gbias, x, gy, accumulate, scratch)


def _exercise(
    calls: Calls,
    variants: Sequence[Any],
    types: tuple[Any, Any],
    geometries: Sequence[Conv2dGeometry],
    most: int | None = None,
) -> Callable[[Arrays], None]:
    """Every variant on every geometry that it serves; of the calls the first ones, at most so many."""
    dtype, multiplied = types

    def exercise(arrays: Arrays) -> None:
        for geometry in geometries:
            problem = Problem(geometry, np.dtype(dtype), Arithmetic(multiplied), arrays.device.capability)
            for variant in variants:
                if not variant.serves(problem):
                    continue
                for call in islice(calls(arrays, variant, problem), most):
                    if variant.accepts(call):
                        variant.launch(arrays.device, call)

    return exercise


def _ordinary(calls: Calls, variants: Sequence[Any]) -> Exercises:
    """One tile size on one geometry, then both on all."""
    return (
        _exercise(calls, variants[-1:], ORDINARY, (SMALL,), most=1),
        _exercise(calls, variants, ORDINARY, GEOMETRIES),
    )


def _tensor(calls: Calls, variants: Sequence[Any], deep: Conv2dGeometry) -> Exercises:
    """One tile size through many steps, then all of them on all geometries, and the smaller ones in TF32."""
    return (
        _exercise(calls, variants[-2:-1], BFLOAT16_PRODUCTS, (deep,), most=1),
        _exercise(calls, variants, BFLOAT16_PRODUCTS, GEOMETRIES),
        _exercise(calls, variants[-2:], TF32_PRODUCTS, GEOMETRIES[:2]),
    )


forward = _ordinary(_forward, SIMT_FORWARD)
backward_data = _ordinary(_backward_data, SIMT_BACKWARD_DATA)
backward_filter = _ordinary(_backward_filter, SIMT_BACKWARD_FILTER)
tensor_forward = _tensor(_forward, TENSOR_CORE_FORWARD, MANY_TAPS)
tensor_backward_data = _tensor(_backward_data, TENSOR_CORE_BACKWARD_DATA, MANY_TAPS)
tensor_backward_filter = _tensor(_backward_filter, TENSOR_CORE_BACKWARD_FILTER, MANY_PIXELS)


def locally_connected(arrays: Arrays) -> None:
    names = ("3x3 same", "stride 2, four-sided padding", "dilation 2, stride 3", "1x1, few channels")
    many_images = Conv2dGeometry(9, 3, 4, 2, 40, 2, 2)
    for geometry in (*(LOCALLY_CONNECTED[name] for name in names), many_images):
        g = geometry
        x, gy = arrays.reals(g.input_shape), arrays.reals(g.output_shape)
        w_shape, bias_shape = (g.P, g.Q, g.R, g.S, g.C, g.K), (g.P, g.Q, g.K)
        w = arrays.upload(np.random.default_rng(6).standard_normal(w_shape).astype(np.float32))
        for bias in (None, arrays.reals(bias_shape)):
            arrays.run.locally_connected2d_forward(arrays.device, arrays.result(g.output_shape), x, w, bias, g)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, g.input_shape)
            arrays.run.locally_connected2d_backward_data(arrays.device, gx, gy, w, g, accumulate)
            gw = arrays.target(accumulate, w_shape)
            gbias = arrays.target(accumulate, bias_shape) if accumulate else None
            arrays.run.locally_connected2d_backward_filter(arrays.device, gw, gbias, x, gy, g, accumulate)
            gw, gbias = arrays.target(accumulate, w_shape), arrays.target(accumulate, bias_shape)
            arrays.run.locally_connected2d_backward_filter(arrays.device, gw, gbias, x, gy, g, accumulate)
