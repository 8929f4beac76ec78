"""Exercises of batch norm, group norm and local response norm."""

from __future__ import annotations

import numpy as np

from gpunn.backend.attributes import LINEAR, RELU, Normalization
from tests.cases.local_response_norm import LOCAL_RESPONSES
from tests.kernels.exercises.arrays import Arrays

#: Shape, groups, and channels beside a slice: one slice of rows and several, one tile of channels and several.
NORMALIZED = (
    ((4, 5, 3, 6), 3, 3),
    ((1, 1, 1, 4), 2, 0),
    ((2, 2, 3, 72), 3, 0),
    ((3, 23, 31, 16), 4, 8),
    ((2, 17, 19, 3), 1, 0),
)


def batch_norm(arrays: Arrays) -> None:
    settings = Normalization(eps=1e-3, momentum=0.3)
    for shape, _, sides in NORMALIZED:
        channels = shape[-1:]
        x, gy = arrays.reals(shape, sides=sides), arrays.reals(shape, sides=sides)
        gamma, beta = arrays.reals(channels), arrays.reals(channels)
        running_mean, running_variance = arrays.held(channels), arrays.changed(np.ones(channels, np.float32))
        for activation in (LINEAR, RELU):
            mean, inverse = arrays.result(channels), arrays.result(channels)
            y = arrays.result(shape, sides=sides)
            running = (running_mean, running_variance)
            arrays.run.batch_norm_forward(
                arrays.device, y, mean, inverse, *running, x, gamma, beta, settings, activation
            )
            y = arrays.result(shape, sides=sides)
            arrays.run.batch_norm_inference(arrays.device, y, x, *running, gamma, beta, settings, activation)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, shape, sides=sides)
            gradients = (arrays.target(accumulate, channels), arrays.target(accumulate, channels))
            arrays.run.batch_norm_backward(
                arrays.device, gx, *gradients, gy, x, mean, inverse, gamma, accumulate, accumulate
            )


def folded_batch_norm(arrays: Arrays) -> None:
    """One tap and several; more weights than a grid has threads would take too long."""
    for shape in ((1, 1, 3, 5), (3, 3, 8, 40)):
        filters = shape[-1:]
        vectors = [arrays.reals(filters) for _ in range(4)]
        mean, bias, gamma, beta = vectors
        variance = arrays.changed(np.ones(filters, np.float32))
        for given in (None, bias):
            folded, offset = arrays.result(shape), arrays.result(filters)
            arrays.run.fold_batch_norm(
                arrays.device, folded, offset, arrays.reals(shape), given, mean, variance, gamma, beta, Normalization()
            )


def group_norm(arrays: Arrays) -> None:
    for shape, groups, sides in NORMALIZED:
        channels, statistics = shape[-1:], (shape[0], groups)
        x, gy = arrays.reals(shape, sides=sides), arrays.reals(shape, sides=sides)
        gamma, beta = arrays.reals(channels), arrays.reals(channels)
        mean, inverse = arrays.result(statistics), arrays.result(statistics)
        y = arrays.result(shape, sides=sides)
        arrays.run.group_norm_forward(arrays.device, y, mean, inverse, x, gamma, beta, groups, 1e-3)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, shape, sides=sides)
            gradients = (arrays.target(accumulate, channels), arrays.target(accumulate, channels))
            arrays.run.group_norm_backward(
                arrays.device, gx, *gradients, gy, x, mean, inverse, gamma, groups, accumulate, accumulate
            )


def group_norm_of_many_channels(arrays: Arrays) -> None:
    """One group has more channels than a block has threads."""
    shape, groups = (1, 1, 2, 300), 2
    x, gamma, beta = arrays.reals(shape), arrays.reals(shape[-1:]), arrays.reals(shape[-1:])
    mean, inverse = arrays.result((1, groups)), arrays.result((1, groups))
    arrays.run.group_norm_forward(arrays.device, arrays.result(shape), mean, inverse, x, gamma, beta, groups, 1e-3)
    gradients = (arrays.result(shape[-1:]), arrays.result(shape[-1:]))
    gx, gy = arrays.result(shape), arrays.reals(shape)
    arrays.run.group_norm_backward(arrays.device, gx, *gradients, gy, x, mean, inverse, gamma, groups, False, False)


def local_response_norm(arrays: Arrays) -> None:
    for shape, settings in LOCAL_RESPONSES.values():
        x, gy = arrays.reals(shape), arrays.reals(shape)
        y, denominator = arrays.result(shape), arrays.result(shape)
        arrays.run.local_response_norm_forward(arrays.device, y, denominator, x, settings)
        for accumulate in (False, True):
            gx = arrays.target(accumulate, shape)
            arrays.run.local_response_norm_backward(arrays.device, gx, gy, x, y, denominator, settings, accumulate)
