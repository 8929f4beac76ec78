"""The ReLU whose slope is learned, against its formula."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.contract import Array, Device
from gpunn.errors import UsageError
from tests.backend.arrays import FLOAT32, FLOAT64, FLOATS, Host, integers, reals, unwritten, upload, upload_slice

#: Odd batches, one pixel, one channel, 16 bytes of channels, vectors, and enough rows for several slices.
SHAPES = ((1, 1), (7, 10), (3, 1, 1, 5), (5, 3, 4, 3), (2, 7, 1, 1), (2, 3, 2, 16), (2, 31, 37, 12), (2, 45, 50, 3))
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def put_wide_slice(device: Device, host: Host) -> Array:
    """A slice of channels whose place and pitch are multiples of 16 bytes where the channels are."""
    return upload_slice(device, host, 8, 8)


each_place = pytest.mark.parametrize("put", [upload, upload_slice, put_wide_slice])


def parameter_type(dtype: Any) -> Any:
    return FLOAT64 if dtype == FLOAT64 else FLOAT32


def rounding(dtype: Any) -> float:
    """How far rounding a result to the type may move it, relative to itself."""
    return float(ml_dtypes.finfo(dtype).eps) / 2


def wide(array: Host) -> Host:
    return array.astype(np.float64)


def slopes_gradient(gy: Host, x: Host) -> Host:
    return (wide(gy) * np.minimum(0, wide(x))).reshape(-1, x.shape[-1]).sum(axis=0)


@each_shape
@each_dtype
@each_place
def test_forward(device: Device, put: Any, shape: tuple[int, ...], dtype: Any) -> None:
    x, slope = reals(1, shape, dtype), reals(2, shape[-1:], parameter_type(dtype))
    expected = np.where(x > 0, wide(x), wide(slope) * wide(x))
    y = put(device, np.zeros(shape, dtype))
    device.primitives.parametric_relu_forward(device, y, put(device, x), upload(device, slope, "plain"))
    np.testing.assert_allclose(wide(device.download(y)), expected, rtol=2 * rounding(dtype), atol=1e-7)


@each_shape
@each_dtype
@each_place
def test_backward(device: Device, put: Any, shape: tuple[int, ...], dtype: Any) -> None:
    kept = parameter_type(dtype)
    x, gy, before = (reals(seed, shape, dtype) for seed in (3, 4, 5))
    slope = reals(6, shape[-1:], kept)
    expected, expected_slope = np.where(x > 0, wide(gy), wide(slope) * wide(gy)), slopes_gradient(gy, x)
    sizes = slopes_gradient(np.abs(gy), -np.abs(x))
    for accumulate, accumulate_parameters in ((False, False), (True, False), (False, True)):
        gx = put(device, before if accumulate else np.full(shape, np.nan, dtype))
        gslope = upload(device, np.full(shape[-1], 0.5, kept), "plain")
        device.primitives.parametric_relu_backward(
            device,
            gx,
            gslope,
            put(device, gy),
            put(device, x),
            upload(device, slope, "plain"),
            accumulate,
            accumulate_parameters,
        )
        result, sum_of_slopes = (wide(device.download(array)) for array in (gx, gslope))
        added = expected + accumulate * wide(before)
        np.testing.assert_allclose(result, added, rtol=2 * rounding(dtype), atol=1e-6 * (dtype != FLOAT64))
        allowed = 20 * rounding(kept) * (np.abs(sizes) + 1)
        assert (np.abs(sum_of_slopes - expected_slope - accumulate_parameters * 0.5) <= allowed).all()


@each_shape
@each_dtype
def test_integers_are_exact(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    kept = parameter_type(dtype)
    x, gy = integers(7, shape, dtype), integers(8, shape, dtype)
    slope = integers(9, shape[-1:], kept)
    y, gx = unwritten(device, shape, dtype), unwritten(device, shape, dtype)
    gslope = unwritten(device, shape[-1:], kept, "plain")
    held = upload(device, x), upload(device, slope, "plain")
    device.primitives.parametric_relu_forward(device, y, *held)
    device.primitives.parametric_relu_backward(device, gx, gslope, upload(device, gy), *held, False, False)
    np.testing.assert_array_equal(wide(device.download(y)), np.where(x > 0, wide(x), wide(slope) * wide(x)))
    np.testing.assert_array_equal(wide(device.download(gx)), np.where(x > 0, wide(gy), wide(slope) * wide(gy)))
    np.testing.assert_array_equal(wide(device.download(gslope)), slopes_gradient(gy, x))


def test_without_input_gradient(device: Device) -> None:
    gslope = unwritten(device, (2,), np.float32, "plain")
    x, gradient = np.array([[-2, 1], [-1, -4]], np.float32), np.array([[3, 5], [1, 2]], np.float32)
    device.primitives.parametric_relu_backward(
        device,
        None,
        gslope,
        upload(device, gradient),
        upload(device, x),
        upload(device, np.ones(2, np.float32), "plain"),
        False,
        False,
    )
    assert device.download(gslope).tolist() == [-7, -8]


def test_nan_stays_nan(device: Device) -> None:
    x = np.array([[np.nan, -1], [2, np.nan]], np.float32)
    y = unwritten(device, x.shape, np.float32)
    device.primitives.parametric_relu_forward(
        device, y, upload(device, x), upload(device, np.ones(2, np.float32), "plain")
    )
    np.testing.assert_array_equal(device.download(y), x)


def test_shapes_must_fit() -> None:
    emulator = backend.open("emulator")
    x = unwritten(emulator, (2, 3), np.float32)
    with pytest.raises(UsageError, match=r"slope has shape \(2,\); it must have \(3,\)"):
        emulator.primitives.parametric_relu_forward(emulator, x, x, unwritten(emulator, (2,), np.float32))
    emulator.close()
