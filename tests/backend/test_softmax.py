"""Softmax and its gradient against the formula of one row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from tests.backend.arrays import Host, unwritten, upload, upload_slice
from tests.cases.loss import SHAPES
from tests.reference import softmax as reference


def some_scores(shape: tuple[int, int], dtype: Any, seed: int = 0) -> Host:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(device: Device, shape: tuple[int, int], dtype: Any) -> None:
    x = some_scores(shape, dtype)
    y = unwritten(device, shape, dtype)
    device.primitives.softmax_forward(device, y, upload_slice(device, x))
    found = device.download(y)
    rows = range(0, len(x), max(1, len(x) // 20))
    expected = np.array([reference.softmax([float(v) for v in x[n]]) for n in rows])
    np.testing.assert_allclose(found[rows], expected, rtol=60 * np.finfo(dtype).eps)
    np.testing.assert_allclose(found.sum(axis=1, dtype=np.float64), 1, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(1, 1), (7, 4), (33, 12)], ids=str)
def test_backward(device: Device, shape: tuple[int, int]) -> None:
    x, gradient, before = (some_scores(shape, np.float64, seed) for seed in range(3))
    expected = np.array([reference.softmax_gradient(*rows) for rows in zip(x, gradient, strict=True)])
    y = upload(device, x)
    device.primitives.softmax_forward(device, y, y)
    for accumulate in (False, True):
        gx = upload_slice(device, before)
        device.primitives.softmax_backward(device, gx, upload_slice(device, gradient), y, accumulate)
        np.testing.assert_allclose(device.download(gx), expected + accumulate * before, rtol=1e-11, atol=1e-13)
    in_place = upload(device, gradient)
    device.primitives.softmax_backward(device, in_place, in_place, y, False)
    np.testing.assert_allclose(device.download(in_place), expected, rtol=1e-11, atol=1e-13)


def test_backward_of_many_rows(device: Device) -> None:
    """Rows do not mix when the work is cut: each row gives what it gives alone."""
    x, gradient = (some_scores((300, 1000), np.float64, seed) for seed in range(2))
    y, gx = upload(device, x), unwritten(device, x.shape, np.float64)
    device.primitives.softmax_forward(device, y, y)
    device.primitives.softmax_backward(device, gx, upload(device, gradient), y, False)
    for n in (0, 149, 150, 299):
        row = np.array(reference.softmax(x[n]))
        expected = row * (gradient[n] - row @ gradient[n])
        np.testing.assert_allclose(device.download(gx)[n], expected, rtol=1e-9, atol=1e-12)


def test_large_scores_do_not_overflow(device: Device) -> None:
    x = np.array([[1000, 1000, -1000], [-1e4, -1e4, -1e4], [3e38, 0, -3e38]], np.float32)
    y = unwritten(device, x.shape, np.float32)
    device.primitives.softmax_forward(device, y, upload(device, x))
    third = np.float32(1) / np.float32(3)
    np.testing.assert_allclose(device.download(y), [[0.5, 0.5, 0], [third] * 3, [1, 0, 0]], rtol=1e-6)
