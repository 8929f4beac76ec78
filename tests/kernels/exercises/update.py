"""Exercises of what surrounds the parameters: optimisers, clipping, penalties, loss scaling and checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.arena import SegmentTable
from gpunn.backend.attributes import (
    LARGEST_LOSS_SCALE,
    LOSS_SCALE_PATIENCE,
    AdaGradRule,
    AdamRule,
    Penalty,
    RmsPropRule,
    SgdRule,
)
from gpunn.backend.contract import Array
from gpunn.backend.cuda.launching.launch import Grid
from tests.backend.arrays import BFLOAT16, FLOAT32
from tests.cases.optimizer import MEDIUM, MIXED
from tests.kernels.exercises.arrays import Arrays

#: Numbers of one, so that roots and powers are defined.
ONES = np.ones


def _controls(arrays: Arrays, apply: int = 1) -> tuple[Array, ...]:
    """learning_rate, gradient_scale, step, apply."""
    return (arrays.one(0.05), arrays.one(0.5), arrays.one(3, np.int64), arrays.one(apply, np.int32))


def _optimize(arrays: Arrays, optimizer: Any, states: int, rule: Any, rounded: Any, apply: int = 1) -> None:
    for segments in (MIXED, MEDIUM):
        size = segments.size
        copy = None if rounded is None else arrays.changed(np.zeros(size, rounded))
        kept = [arrays.changed(ONES(size, np.float32)) for _ in range(states)]
        given = kept if states else [None] * (optimizer == arrays.run.sgd)
        arguments = (arrays.held((size,)), copy, *given, arrays.reals((size,)), *_controls(arrays, apply))
        optimizer(arrays.device, *arguments, segments, rule)


def sgd(arrays: Arrays) -> None:
    for rule in (SgdRule(0.9), SgdRule(0.9, "ema", True), SgdRule(0.9, "ema"), SgdRule(0.9, "nesterov")):
        _optimize(arrays, arrays.run.sgd, 1, rule, None)
    _optimize(arrays, arrays.run.sgd, 0, SgdRule(), FLOAT32)
    _optimize(arrays, arrays.run.sgd, 1, SgdRule(0.9), FLOAT32, apply=0)


def adam(arrays: Arrays) -> None:
    _optimize(arrays, arrays.run.adam, 2, AdamRule(), None)
    _optimize(arrays, arrays.run.adam, 2, AdamRule(0.8, 0.95, 1e-3, decoupled=True), FLOAT32)
    _optimize(arrays, arrays.run.adam, 2, AdamRule(), FLOAT32, apply=0)


def rmsprop(arrays: Arrays) -> None:
    for rounded, apply in ((None, 1), (FLOAT32, 1), (FLOAT32, 0)):
        _optimize(arrays, arrays.run.rmsprop, 1, RmsPropRule(), rounded, apply)


def adagrad(arrays: Arrays) -> None:
    for rounded, apply in ((None, 1), (FLOAT32, 1), (FLOAT32, 0)):
        _optimize(arrays, arrays.run.adagrad, 1, AdaGradRule(), rounded, apply)


def clipping(arrays: Arrays) -> None:
    for segments in (MIXED, MEDIUM):
        for maximum in (1.0, 1e6):
            norm, scale = arrays.result((1,), np.float64), arrays.result((1,), np.float64)
            arrays.run.clip_global_norm(arrays.device, norm, scale, arrays.reals((segments.size,)), segments, maximum)


def penalties(arrays: Arrays) -> None:
    for segments in (MIXED, MEDIUM):
        for p in (1.0, 2.0, 1.5):
            _penalize(arrays, segments, Penalty(p, 0.1))


def _penalize(arrays: Arrays, segments: SegmentTable, penalty: Penalty) -> None:
    values = np.random.default_rng(2).standard_normal(segments.size).astype(np.float32)
    values[::5] = 0.0
    parameters = arrays.upload(values)
    arrays.run.penalty_value(arrays.device, arrays.result((1,), np.float64), parameters, segments, penalty)
    arrays.run.penalty_gradient(arrays.device, arrays.held((segments.size,)), parameters, segments, penalty)


def finite_checks(arrays: Arrays) -> None:
    """The bad value lies in the last warp of a block, so that no other thread sees it."""
    for dtype in (FLOAT32, BFLOAT16, np.float64):
        for bad in (1.0, np.inf):
            values = ONES((3, 100), dtype)
            values[2, 50] = bad
            apply, latched = arrays.changed(ONES(1, np.int32)), arrays.changed(np.full(1, -1))
            step = arrays.one(7, np.int64)
            arrays.run.finite_check(arrays.device, apply, latched, arrays.upload(values), step)


def loss_scaling(arrays: Arrays) -> None:
    scale = arrays.result((1,), np.float64)
    arrays.run.set_loss_scale(arrays.device, scale, arrays.one(0.25), arrays.one(1024.0))
    for bad, multiplier, finite_steps, apply in (
        (1.0, 1024.0, 5, 1),
        (1.0, 1024.0, LOSS_SCALE_PATIENCE - 1, 1),
        (1.0, LARGEST_LOSS_SCALE, LOSS_SCALE_PATIENCE - 1, 1),
        (np.inf, 1024.0, 5, 1),
        (np.nan, 1.0, 5, 1),
        (1.0, 1024.0, 5, 0),
    ):
        gradients = np.arange(64 * 50, dtype=np.float32)
        gradients[1900] = bad
        arrays.run.unscale_gradients(
            arrays.device,
            arrays.changed(gradients),
            arrays.changed(np.array([multiplier])),
            arrays.changed(np.array([finite_steps])),
            arrays.changed(np.array([apply], np.int32)),
        )


def loss_scaling_of_many(arrays: Arrays) -> None:
    """More blocks than the last launch has threads in a warp; only one of them has a bad gradient."""
    gradients = ONES(64 * 1024, np.float32)
    gradients[50_000] = np.nan
    arrays.run.unscale_gradients(
        arrays.device,
        arrays.changed(gradients),
        arrays.changed(np.array([16.0])),
        arrays.changed(np.array([2])),
        arrays.changed(np.array([1], np.int32)),
    )


def statistics(arrays: Arrays) -> None:
    for apply in (1, 0):
        arrays.run.commit_statistics(
            arrays.device, arrays.held((300,)), arrays.held((300,)), arrays.one(apply, np.int32)
        )


def steps(arrays: Arrays) -> None:
    for latched in (-1, 0, 4):
        step, apply = arrays.changed(np.array([7])), arrays.changed(np.array([0], np.int32))
        arrays.run.advance(arrays.device, step, apply, arrays.one(latched, np.int64))


def holding(arrays: Arrays) -> None:
    for cycles in (0, 1, 5):
        held = arrays.result((1,), np.int64)
        arrays.device.launcher.launch("hold.cu", "hold", Grid((1, 1, 1), (1, 1, 1)), {"held": held, "cycles": cycles})
