"""Exercises of kernels that treat each number, or each channel, by itself."""

from __future__ import annotations

import numpy as np

from gpunn.backend.attributes import RELU, Activation, Dropout
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32
from tests.cases.activation import ACTIVATIONS
from tests.cases.image import CROPS
from tests.kernels.exercises.arrays import Arrays

#: Numbers that lie apart by 8 can be moved 16 bytes at a time, numbers that lie apart by 3 cannot.
SHAPES_AND_SIDES = (((3, 2, 2, 8), 0), ((3, 2, 2, 8), 8), ((3, 2, 1, 5), 3))


def _activate(arrays: Arrays, function: Activation) -> None:
    for shape, sides in SHAPES_AND_SIDES:
        x, gy = arrays.reals(shape, sides=sides), arrays.reals(shape, sides=sides)
        arrays.run.activation_forward(arrays.device, arrays.result(shape, sides=sides), x, function)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, shape, sides=sides)
            arrays.run.activation_backward(arrays.device, gx, gy, x, function, accumulate)


def activations(arrays: Arrays) -> None:
    for function in ACTIVATIONS:
        if function != RELU:
            _activate(arrays, function)


def relu(arrays: Arrays) -> None:
    _activate(arrays, RELU)


def copies(arrays: Arrays) -> None:
    for shape, sides in SHAPES_AND_SIDES:
        for accumulate in (False, True):
            y, x = arrays.target(accumulate, shape, sides=sides), arrays.reals(shape, sides=sides)
            arrays.run.copy(arrays.device, y, x, accumulate)
    shape = (2, 3, 3, 8)
    for to in (BFLOAT16, FLOAT16):
        narrow = arrays.result(shape, to)
        arrays.run.copy(arrays.device, narrow, arrays.reals(shape), False)
        arrays.run.copy(arrays.device, arrays.result(shape), narrow, False)


def narrow_copies(arrays: Arrays) -> None:
    """A NaN and numbers half way between two others; bfloat16 rounds them by itself where the GPU is old."""
    values = np.array([np.nan, 1.00390625, -1.01171875, 3.4e38, 0.0, np.inf, 1e-40], np.float32)
    arrays.run.copy(arrays.device, arrays.result(values.shape, BFLOAT16), arrays.upload(values), False)


def fills(arrays: Arrays) -> None:
    for shape, sides in SHAPES_AND_SIDES:
        arrays.run.fill(arrays.device, arrays.result(shape, sides=sides), 2.5)


def scales(arrays: Arrays) -> None:
    for shape, sides in SHAPES_AND_SIDES:
        for accumulate in (False, True):
            y, x = arrays.target(accumulate, shape, sides=sides), arrays.reals(shape, sides=sides)
            arrays.run.scale(arrays.device, y, x, 0.5, accumulate)


def additions(arrays: Arrays) -> None:
    for shape, sides in SHAPES_AND_SIDES:
        for count in (2, 3, 4):
            xs = [arrays.reals(shape, sides=sides) for _ in range(count)]
            arrays.run.add(arrays.device, arrays.result(shape, sides=sides), xs)


def dropout(arrays: Arrays) -> None:
    settings = Dropout(0.4, "inverted", seed=3, layer=2)
    for shape, sides in (*SHAPES_AND_SIDES, ((2, 3, 3, 3), 0)):
        for first_image in (0, 5):
            x, y = arrays.reals(shape, sides=sides), arrays.result(shape, sides=sides)
            mask = arrays.result(shape, np.uint8)
            step, first = arrays.one(7, np.int64), arrays.one(first_image, np.int64)
            arrays.run.dropout_forward(arrays.device, y, mask, x, step, first, settings)
            for accumulate in (False, True):
                gx = arrays.target(accumulate, shape, sides=sides)
                arrays.run.dropout_backward(arrays.device, gx, x, mask, settings, accumulate)


def parametric_relu(arrays: Arrays) -> None:
    for shape, sides in (((5, 6, 4, 8), 8), ((3, 2, 2, 5), 0), ((2, 2, 2, 39), 3)):
        slope = arrays.reals(shape[-1:])
        x, gy = arrays.reals(shape, sides=sides), arrays.reals(shape, sides=sides)
        arrays.run.parametric_relu_forward(arrays.device, arrays.result(shape, sides=sides), x, slope)
        for accumulate in (False, True):
            gx, gslope = arrays.target(accumulate, shape, sides=sides), arrays.target(accumulate, shape[-1:])
            arrays.run.parametric_relu_backward(arrays.device, gx, gslope, gy, x, slope, accumulate, accumulate)
        gslope = arrays.result(shape[-1:])
        arrays.run.parametric_relu_backward(arrays.device, None, gslope, gy, x, slope, False, False)


def pictures(arrays: Arrays) -> None:
    """Crops; the last ones have more numbers a row than a block has threads."""
    crops = [*CROPS.values(), ((2, 4, 90, 3), (3, 87), [(1, 3, 1), (0, -1, 0)])]
    for shape, size, places in crops:
        images = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
        y = arrays.result((shape[0], *size, shape[-1]), FLOAT32)
        mean, deviation = np.linspace(0.2, 0.6, shape[-1]), np.linspace(0.5, 1.5, shape[-1])
        placement = np.array(places, np.int32)
        arrays.run.normalize_images(
            arrays.device,
            y,
            arrays.upload(images),
            arrays.upload(placement),
            arrays.upload(mean),
            arrays.upload(deviation),
        )
