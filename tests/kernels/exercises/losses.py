"""Exercises of softmax and the losses."""

from __future__ import annotations

import numpy as np

from tests.backend.arrays import integers, upload_slice
from tests.kernels.exercises.arrays import Arrays

#: Images and classes: less than a warp, and several warps of which each thread takes several classes.
SCORES = ((3, 10), (2, 300))


def softmax(arrays: Arrays) -> None:
    for shape in SCORES:
        y = arrays.result(shape)
        arrays.run.softmax_forward(arrays.device, y, arrays.reals(shape))
        for accumulate in (False, True):
            gx = arrays.target(accumulate, shape)
            arrays.run.softmax_backward(arrays.device, gx, arrays.reals(shape), y, accumulate)


def cross_entropy(arrays: Arrays) -> None:
    scale = arrays.one(128.0)
    for N, K in SCORES:
        # Whole numbers, so that classes score the same.
        logits = upload_slice(arrays.device, integers(5, (N, K), np.float32))
        labels = arrays.upload((np.arange(N) * 7 % K).astype(np.int32))
        targets = np.random.default_rng(8).dirichlet(np.ones(K), N).astype(np.float32)
        targets[0] = np.nan
        soft = arrays.upload(targets)
        for smoothing, accumulate in ((0.0, False), (0.1, True), (0.1, None)):
            for function, wanted in (
                (arrays.run.softmax_cross_entropy, labels),
                (arrays.run.softmax_cross_entropy_soft, soft),
            ):
                loss, ranks = arrays.result((N,)), arrays.result((N,), np.int32)
                gradient = None if accumulate is None else arrays.target(accumulate, (N, K))
                function(arrays.device, loss, gradient, ranks, logits, wanted, scale, smoothing, 0.5, bool(accumulate))


def binary_cross_entropy(arrays: Arrays) -> None:
    for shape, sides in (((3, 10), 0), ((2, 3, 5, 20), 3)):
        for accumulate in (False, True, None):
            gradient = None if accumulate is None else arrays.target(accumulate, shape, sides=sides)
            arrays.run.binary_cross_entropy(
                arrays.device,
                arrays.result(shape[:1]),
                gradient,
                arrays.reals(shape, sides=sides),
                arrays.reals(shape, sides=sides),
                arrays.one(128.0),
                0.5,
                bool(accumulate),
            )


def squared_error(arrays: Arrays) -> None:
    for shape, sides in (((3, 10), 0), ((2, 3, 5, 20), 3)):
        for accumulate in (False, True, None):
            gradient = None if accumulate is None else arrays.target(accumulate, shape, sides=sides)
            arrays.run.squared_error(
                arrays.device,
                arrays.result(shape[:1]),
                gradient,
                arrays.reals(shape, sides=sides),
                arrays.reals(shape, sides=sides),
                arrays.one(128.0),
                0.5,
                0.25,
                bool(accumulate),
            )


def totals(arrays: Arrays) -> None:
    ranks = arrays.upload((np.arange(300) % 9).astype(np.int32))
    for images, held in ((300, ranks), (300, None), (5, ranks[:5])):
        for apply in (1, 0):
            sums = arrays.changed(np.arange(4, dtype=np.float64))
            loss = arrays.reals((images,))
            arrays.run.record_losses(arrays.device, sums, loss, held, arrays.one(apply, np.int32))
