"""Convolution against float64 loops, finite differences, the adjoint identity and the lecture's matrix product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpunn.backend.attributes import LINEAR, RELU, Activation
from gpunn.backend.contract import Array, Device
from gpunn.geometry import Conv2dGeometry, Padding, Pair
from tests.backend.arrays import Host, unwritten, upload, upload_slice, workspace
from tests.cases.convolution import CONVOLUTIONS
from tests.reference import convolution as reference

DTYPES = [np.float32, np.float64]
each_case = pytest.mark.parametrize("geometry", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def integers(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    """Small integers, whose sums of products every precision holds exactly."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


def reals(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def run_forward(
    device: Device, geometry: Conv2dGeometry, x: Array, w: Host, bias: Host | None, function: Activation = LINEAR
) -> Host:
    y = unwritten(device, geometry.output_shape, w.dtype)
    scratch = workspace(device, device.primitives.convolution2d_forward_workspace(device, geometry, w.dtype))
    held = None if bias is None else upload(device, bias)
    device.primitives.convolution2d_forward(device, y, x, upload(device, w, "plain"), held, geometry, function, scratch)
    return device.download(y)


def run_backward_data(device: Device, geometry: Conv2dGeometry, gy: Array, w: Host, before: Host | None = None) -> Host:
    gx = unwritten(device, geometry.input_shape, w.dtype) if before is None else upload(device, before)
    scratch = workspace(device, device.primitives.convolution2d_backward_data_workspace(device, geometry, w.dtype))
    device.primitives.convolution2d_backward_data(
        device, gx, gy, upload(device, w, "plain"), geometry, before is not None, scratch
    )
    return device.download(gx)


def run_backward_filter(
    device: Device, geometry: Conv2dGeometry, x: Array, gy: Array, before: tuple[Host, Host] | None = None
) -> tuple[Host, Host]:
    dtype = x.dtype
    if before is None:
        gw = unwritten(device, geometry.filter_shape, dtype, "plain")
        gbias = unwritten(device, (geometry.K,), dtype)
    else:
        gw, gbias = upload(device, before[0], "plain"), upload(device, before[1])
    scratch = workspace(device, device.primitives.convolution2d_backward_filter_workspace(device, geometry, dtype))
    device.primitives.convolution2d_backward_filter(device, gw, gbias, x, gy, geometry, before is not None, scratch)
    return device.download(gw), device.download(gbias)


@each_case
@each_dtype
def test_forward_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    x, w = integers(1, geometry.input_shape, dtype), integers(2, geometry.filter_shape, dtype)
    bias = integers(3, (geometry.K,), dtype)
    expected = reference.forward(x, w, bias, geometry)
    np.testing.assert_array_equal(run_forward(device, geometry, upload(device, x), w, bias), expected)


@each_case
@each_dtype
def test_backward_data_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    gy, w = integers(1, geometry.output_shape, dtype), integers(2, geometry.filter_shape, dtype)
    before = integers(3, geometry.input_shape, dtype)
    expected = reference.backward_data(gy, w, geometry)
    held = upload(device, gy)
    np.testing.assert_array_equal(run_backward_data(device, geometry, held, w), expected)
    np.testing.assert_array_equal(run_backward_data(device, geometry, held, w, before), expected + before)


@each_case
@each_dtype
def test_backward_filter_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    x, gy = integers(1, geometry.input_shape, dtype), integers(2, geometry.output_shape, dtype)
    before = integers(3, geometry.filter_shape, dtype), integers(4, (geometry.K,), dtype)
    expected = reference.backward_filter(x, gy, geometry), gy.sum((0, 1, 2), dtype=np.float64)
    arrays = upload(device, x), upload(device, gy)
    for result, right in zip(run_backward_filter(device, geometry, *arrays), expected, strict=True):
        np.testing.assert_array_equal(result, right)
    added = run_backward_filter(device, geometry, *arrays, before)
    for result, right, first in zip(added, expected, before, strict=True):
        np.testing.assert_array_equal(result, right + first)
