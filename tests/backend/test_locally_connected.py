"""Locally connected layers against float64 loops, finite differences and the count of the lecture."""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, Arithmetic
from gpunn.backend.contract import Array, Device
from gpunn.geometry import Conv2dGeometry, Padding, Pair, Shape
from tests.backend.arrays import FLOATS, Host, integers, reals, summed, unwritten, upload, upload_slice, workspace
from tests.backend.rounding import computing, rounding
from tests.cases.locally_connected import LOCALLY_CONNECTED
from tests.reference import locally_connected as reference

#: The emulator runs the cases of fewer operations; its check build is some 20 times slower.
LARGEST_FLOPS = {"cpu": inf, "emulator": 4_000_000, "emulator:check": 600_000}

each_case = pytest.mark.parametrize(
    ("device", "geometry"),
    [
        pytest.param(device, geometry, id=f"{device}-{name}")
        for device, largest in LARGEST_FLOPS.items()
        for name, geometry in LOCALLY_CONNECTED.items()
        if geometry.flops <= largest
    ],
    indirect=["device"],
)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def filter_shape(geometry: Conv2dGeometry) -> Shape:
    return (geometry.P, geometry.Q, geometry.R, geometry.S, geometry.C, geometry.K)


def bias_shape(geometry: Conv2dGeometry) -> Shape:
    return (geometry.P, geometry.Q, geometry.K)


def run_forward(device: Device, geometry: Conv2dGeometry, x: Array, w: Host, bias: Host | None) -> Host:
    y = unwritten(device, geometry.output_shape, w.dtype)
    held = None if bias is None else upload(device, bias, "plain")
    device.primitives.locally_connected2d_forward(device, y, x, upload(device, w, "plain"), held, geometry)
    return device.download(y)


def run_backward_data(device: Device, geometry: Conv2dGeometry, gy: Array, w: Host, before: Host | None = None) -> Host:
    gx = unwritten(device, geometry.input_shape, w.dtype) if before is None else upload(device, before)
    accumulate = before is not None
    device.primitives.locally_connected2d_backward_data(
        device, gx, gy, upload(device, w, "plain"), geometry, accumulate
    )
    return device.download(gx)


def run_backward_filter(
    device: Device, geometry: Conv2dGeometry, x: Array, gy: Array, before: tuple[Host, Host] | None = None
) -> tuple[Host, Host]:
    if before is None:
        gw = unwritten(device, filter_shape(geometry), summed(x.dtype), "plain")
        gbias = unwritten(device, bias_shape(geometry), summed(x.dtype), "plain")
    else:
        gw, gbias = (upload(device, part, "plain") for part in before)
    device.primitives.locally_connected2d_backward_filter(device, gw, gbias, x, gy, geometry, before is not None)
    return device.download(gw), device.download(gbias)


@each_case
@each_dtype
def test_forward_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    x, w = integers(1, geometry.input_shape, dtype), integers(2, filter_shape(geometry), dtype)
    bias = integers(3, bias_shape(geometry), summed(dtype))
    held = upload(device, x)
    for given in (bias, None):
        expected = reference.forward(x, w, given, geometry).astype(dtype)
        np.testing.assert_array_equal(run_forward(device, geometry, held, w, given), expected)


@each_case
@each_dtype
def test_backward_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    x, w = integers(1, geometry.input_shape, dtype), integers(2, filter_shape(geometry), dtype)
    gy = integers(3, geometry.output_shape, dtype)
    before = integers(4, w.shape, summed(dtype)), integers(5, bias_shape(geometry), summed(dtype))
    held_x, held_gy = upload(device, x), upload(device, gy)
    gx, gw = reference.backward_data(gy, w, geometry), reference.backward_filter(x, gy, geometry)
    gbias = gy.sum(0, dtype=np.float64)

    np.testing.assert_array_equal(run_backward_data(device, geometry, held_gy, w), gx.astype(dtype))
    added = run_backward_data(device, geometry, held_gy, w, x)
    np.testing.assert_array_equal(added, (gx + x.astype(np.float64)).astype(dtype))
    for result, expected in zip(run_backward_filter(device, geometry, held_x, held_gy), (gw, gbias), strict=True):
        np.testing.assert_array_equal(result, expected)
    added = run_backward_filter(device, geometry, held_x, held_gy, before)
    for result, expected, first in zip(added, (gw, gbias), before, strict=True):
        np.testing.assert_array_equal(result, expected + first)


@pytest.mark.parametrize("device", ["cpu", "emulator"], indirect=True)
@each_dtype
def test_real_numbers_obey_the_rounding_bound(device: Device, dtype: Any) -> None:
    geometry = LOCALLY_CONNECTED["several blocks" if device.name == "cpu" else "dilation 2"]
    x, w = reals(1, geometry.input_shape, dtype), reals(2, filter_shape(geometry), dtype)
    gy = reals(3, geometry.output_shape, dtype)
    held_x, held_gy = upload(device, x), upload(device, gy)
    y = run_forward(device, geometry, held_x, w, None)
    gx = run_backward_data(device, geometry, held_gy, w)
    gw, _ = run_backward_filter(device, geometry, held_x, held_gy)
    pairs = [
        (y, reference.forward(x, w, None, geometry), reference.forward(abs(x), abs(w), None, geometry)),
        (gx, reference.backward_data(gy, w, geometry), reference.backward_data(abs(gy), abs(w), geometry)),
        (gw, reference.backward_filter(x, gy, geometry), reference.backward_filter(abs(x), abs(gy), geometry)),
    ]
    for result, expected, size in pairs:
        error = np.abs(result.astype(np.float64) - expected)
        assert np.all(error <= 8 * computing(dtype) / 2 * size + rounding(result.dtype) * abs(expected))


@each_dtype
def test_channel_slices(device: Device, dtype: Any) -> None:
    geometry = LOCALLY_CONNECTED["stride 2, four-sided padding"]
    x, w = integers(1, geometry.input_shape, dtype), integers(2, filter_shape(geometry), dtype)
    gy = integers(3, geometry.output_shape, dtype)
    held_x, held_gy = upload_slice(device, x), upload_slice(device, gy)
    y = upload_slice(device, np.full(geometry.output_shape, np.nan, dtype))
    device.primitives.locally_connected2d_forward(device, y, held_x, upload(device, w, "plain"), None, geometry)
    np.testing.assert_array_equal(device.download(y), reference.forward(x, w, None, geometry))
    gx = upload_slice(device, np.full(geometry.input_shape, np.nan, dtype))
    device.primitives.locally_connected2d_backward_data(
        device, gx, held_gy, upload(device, w, "plain"), geometry, False
    )
    np.testing.assert_array_equal(device.download(gx), reference.backward_data(gy, w, geometry))
    gw, _ = run_backward_filter(device, geometry, held_x, held_gy)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))


def test_gradients_match_finite_differences(cpu: Device) -> None:
    geometry = Conv2dGeometry(3, 5, 6, 3, 2, 3, 2, Pair(2, 1), Padding(1, 1, 0, 1))
    shapes = geometry.input_shape, filter_shape(geometry), bias_shape(geometry)
    values = [reals(seed, shape, np.float64) for seed, shape in enumerate(shapes)]
    gy = reals(3, geometry.output_shape, np.float64)
    held_gy = upload(cpu, gy)

    def loss(x: Host, w: Host, bias: Host) -> float:
        return float(np.sum(gy * run_forward(cpu, geometry, upload(cpu, x), w, bias)))

    gx = run_backward_data(cpu, geometry, held_gy, values[1])
    gradients = gx, *run_backward_filter(cpu, geometry, upload(cpu, values[0]), held_gy)
    for place, gradient in enumerate(gradients):
        direction = reals(10 + place, gradient.shape, np.float64)
        ends = []
        for step in (1e-3, -1e-3):
            moved = list(values)
            moved[place] = moved[place] + step * direction
            ends.append(loss(*moved))
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-6)


def test_equal_filters_everywhere_are_a_convolution(device: Device) -> None:
    geometry = LOCALLY_CONNECTED["3x3 same, three channels"]
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    y = unwritten(device, geometry.output_shape, np.float32)
    float32 = Arithmetic("float32")
    size = device.primitives.convolution2d_forward_workspace(device, geometry, x.dtype, float32)
    scratch, filters = workspace(device, size), upload(device, w, "plain")
    device.primitives.convolution2d_forward(
        device, y, upload(device, x), filters, None, geometry, LINEAR, float32, scratch
    )
    everywhere = np.broadcast_to(w, filter_shape(geometry)).copy()
    result = run_forward(device, geometry, upload(device, x), everywhere, None)
    np.testing.assert_array_equal(result, device.download(y))


def test_a_million_units_with_ten_by_ten_filters_have_a_hundred_million_weights() -> None:
    geometry = Conv2dGeometry(1, 1009, 1009, 1, 1, 10, 10)
    assert prod(geometry.output_shape) == 1_000_000
    assert prod(filter_shape(geometry)) == 100_000_000
