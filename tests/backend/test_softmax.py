"""Softmax and its gradient against the formula of one row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from tests.backend.arrays import FLOAT32, FLOAT64, FLOATS, Host, unwritten, upload, upload_slice
from tests.backend.emulator.devices import FAST, emulator
from tests.backend.rounding import computing, rounding, smallest_step
from tests.cases.loss import SHAPES
from tests.reference import softmax as reference


def some_scores(shape: tuple[int, int], dtype: Any, seed: int = 0) -> Host:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(device: Device, shape: tuple[int, int], dtype: Any) -> None:
    x = some_scores(shape, dtype)
    y = unwritten(device, shape, dtype)
    device.primitives.softmax_forward(device, y, upload_slice(device, x))
    found = device.download(y).astype(np.float64)
    rows = range(0, len(x), max(1, len(x) // 20))
    expected = np.array([reference.softmax([float(v) for v in x[n]]) for n in rows])
    relative, absolute = 60 * computing(dtype) + rounding(dtype), smallest_step(dtype)
    np.testing.assert_allclose(found[rows], expected, rtol=relative, atol=absolute)
    np.testing.assert_allclose(
        found.sum(axis=1), 1, rtol=20 * computing(dtype) + rounding(dtype), atol=absolute * shape[1]
    )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (7, 4), (33, 12), (2, 300)], ids=str)
def test_backward(device: Device, shape: tuple[int, int], dtype: Any) -> None:
    x, gradient, before = (some_scores(shape, dtype, seed) for seed in range(3))
    wide = [row.astype(np.float64).tolist() for row in gradient]
    scores = [row.astype(np.float64).tolist() for row in x]
    expected = np.array([reference.softmax_gradient(*rows) for rows in zip(scores, wide, strict=True)])
    y = upload(device, x)
    device.primitives.softmax_forward(device, y, y)
    # The terms of the gradient, y gy and y times the mean, each with the error of y; then the result is rounded.
    probability = np.array([reference.softmax(row) for row in scores])
    size = probability * (np.abs(wide) + (probability * np.abs(wide)).sum(axis=1, keepdims=True))
    unit = 60 * computing(dtype) + 3 * rounding(dtype)
    # Below its smallest steps float16 keeps no digits of y: the gradient has an error of so many of them.
    bound = unit * size + smallest_step(dtype) * (2 + np.abs(wide).sum(axis=1, keepdims=True))
    for accumulate in (False, True):
        gx = upload_slice(device, before)
        device.primitives.softmax_backward(device, gx, upload_slice(device, gradient), y, accumulate)
        start = accumulate * before.astype(np.float64)
        error = np.abs(device.download(gx).astype(np.float64) - (expected + start))
        assert (error <= bound + (computing(dtype) + rounding(dtype)) * np.abs(start)).all()
    in_place = upload(device, gradient)
    device.primitives.softmax_backward(device, in_place, in_place, y, False)
    assert (np.abs(device.download(in_place).astype(np.float64) - expected) <= bound).all()


@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32], ids=str)
def test_backward_of_many_rows(device: Device, dtype: Any) -> None:
    """Rows do not mix when the work is cut: each row gives what it gives alone."""
    x, gradient = (some_scores((300, 1000), dtype, seed) for seed in range(2))
    y, gx = upload(device, x), unwritten(device, x.shape, dtype)
    device.primitives.softmax_forward(device, y, y)
    device.primitives.softmax_backward(device, gx, upload(device, gradient), y, False)
    for n in (0, 149, 150, 299):
        row, wide = np.array(reference.softmax(x[n].astype(np.float64))), gradient[n].astype(np.float64)
        bound = 100 * computing(dtype) * row * (np.abs(wide) + row @ np.abs(wide))
        assert (np.abs(device.download(gx)[n] - row * (wide - row @ wide)) <= bound).all()


def test_as_many_classes_as_vocabularies_have(device: Device) -> None:
    x = some_scores((2, 100_000), np.float32)
    y = upload(device, x)
    device.primitives.softmax_forward(device, y, y)
    powers = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(device.download(y), expected, rtol=100 * computing(np.float32))


def test_nan_and_infinities_reach_the_whole_row(device: Device) -> None:
    x = np.array([[1, np.nan, 2], [np.inf, 0, 1], [-np.inf] * 3, [np.nan] * 3, [0, -np.inf, 0]], np.float32)
    y = upload(device, x)
    device.primitives.softmax_forward(device, y, y)
    assert np.isnan(device.download(y)[:4]).all()
    assert device.download(y)[4].tolist() == [0.5, 0, 0.5]


def test_large_scores_do_not_overflow(device: Device) -> None:
    x = np.array([[1000, 1000, -1000], [-1e4, -1e4, -1e4], [3e38, 0, -3e38]], np.float32)
    y = unwritten(device, x.shape, np.float32)
    device.primitives.softmax_forward(device, y, upload(device, x))
    third = np.float32(1) / np.float32(3)
    np.testing.assert_allclose(device.download(y), [[0.5, 0.5, 0], [third] * 3, [1, 0, 0]], rtol=1e-6)


def test_other_shapes_are_refused() -> None:
    with emulator(FAST) as device:
        x, y = upload(device, np.zeros((2, 3), np.float32)), upload(device, np.zeros((3, 2), np.float32))
        with pytest.raises(UsageError, match=r"softmax_forward: .* \(N, K\), got y \(3, 2\), x \(2, 3\)"):
            device.primitives.softmax_forward(device, y, x)
        with pytest.raises(UsageError, match=r"softmax_backward: .* gy \(2,\)"):
            device.primitives.softmax_backward(device, x[0], x[0, :2], x[0], False)
