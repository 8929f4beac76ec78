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
from tests.backend.arrays import Host, integers, reals, unwritten, upload, upload_slice, workspace
from tests.cases.convolution import CONVOLUTIONS
from tests.reference import convolution as reference

DTYPES = [np.float32, np.float64]
each_case = pytest.mark.parametrize("geometry", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


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


@each_dtype
@pytest.mark.parametrize("name", ["3x3 same", "more pixels than one block, few channels", "dilation 2, stride 3"])
def test_real_numbers_obey_the_rounding_bound(device: Device, name: str, dtype: Any) -> None:
    geometry = CONVOLUTIONS[name]
    x, w = reals(1, geometry.input_shape, dtype), reals(2, geometry.filter_shape, dtype)
    bias, gy = reals(3, (geometry.K,), dtype), reals(4, geometry.output_shape, dtype)
    held_x, held_gy = upload(device, x), upload(device, gy)
    gw, gbias = run_backward_filter(device, geometry, held_x, held_gy)
    triples = [
        (
            run_forward(device, geometry, held_x, w, bias),
            reference.forward(x, w, bias, geometry),
            reference.forward(abs(x), abs(w), abs(bias), geometry),
        ),
        (
            run_backward_data(device, geometry, held_gy, w),
            reference.backward_data(gy, w, geometry),
            reference.backward_data(abs(gy), abs(w), geometry),
        ),
        (gw, reference.backward_filter(x, gy, geometry), reference.backward_filter(abs(x), abs(gy), geometry)),
        (gbias, gy.sum((0, 1, 2), dtype=np.float64), abs(gy).sum((0, 1, 2), dtype=np.float64)),
    ]
    for result, expected, size in triples:
        assert result.dtype == dtype
        assert np.all(np.abs(result - expected) <= 8 * np.finfo(dtype).eps / 2 * size)


@each_dtype
@pytest.mark.parametrize("function", [RELU, Activation("softplus")], ids=lambda function: function.name)
@pytest.mark.parametrize("name", ["3x3 same", "more pixels than one block, few channels"])
def test_forward_ends_with_the_activation(device: Device, name: str, function: Activation, dtype: Any) -> None:
    geometry = CONVOLUTIONS[name]
    x, w = integers(1, geometry.input_shape, dtype), integers(2, geometry.filter_shape, dtype)
    bias = integers(3, (geometry.K,), dtype)
    before = reference.forward(x, w, bias, geometry)
    expected = np.maximum(before, 0) if function is RELU else np.logaddexp(before, 0)
    result = run_forward(device, geometry, upload(device, x), w, bias, function)
    np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@each_dtype
@pytest.mark.parametrize("name", ["3x3 same", "1x1", "3x3 same, three channels", "1x1, stride 2", "two groups, 1x1"])
def test_channel_slices(device: Device, name: str, dtype: Any) -> None:
    geometry = CONVOLUTIONS[name]
    x, w = integers(1, geometry.input_shape, dtype), integers(2, geometry.filter_shape, dtype)
    gy = integers(3, geometry.output_shape, dtype)
    wide_y = upload(device, np.full((*geometry.output_shape[:3], geometry.K + 5), 7, dtype))
    wide_gx = upload(device, np.full((*geometry.input_shape[:3], geometry.C + 5), 7, dtype))
    y, gx = wide_y[..., 2 : 2 + geometry.K], wide_gx[..., 2 : 2 + geometry.C]
    held_x, held_gy, held_w = upload_slice(device, x), upload_slice(device, gy), upload(device, w, "plain")
    primitives, kind = device.primitives, np.dtype(dtype)

    scratch = workspace(device, primitives.convolution2d_forward_workspace(device, geometry, kind))
    primitives.convolution2d_forward(device, y, held_x, held_w, None, geometry, LINEAR, scratch)
    scratch = workspace(device, primitives.convolution2d_backward_data_workspace(device, geometry, kind))
    primitives.convolution2d_backward_data(device, gx, held_gy, held_w, geometry, False, scratch)
    np.testing.assert_array_equal(device.download(y), reference.forward(x, w, None, geometry))
    np.testing.assert_array_equal(device.download(gx), reference.backward_data(gy, w, geometry))
    for wide, channels in ((wide_y, geometry.K), (wide_gx, geometry.C)):
        neighbours = np.delete(device.download(wide), range(2, 2 + channels), axis=-1)
        np.testing.assert_array_equal(neighbours, 7)

    gw, _ = run_backward_filter(device, geometry, held_x, held_gy)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))


@pytest.mark.parametrize("name", ["3x3 same", "1x1", "3x3, stride 2, three channels", "rows cut into blocks"])
def test_images_in_plain_order(device: Device, name: str) -> None:
    geometry = CONVOLUTIONS[name]
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    gy = integers(3, geometry.output_shape, np.float32)
    held_x, held_gy, held_w = upload(device, x, "plain"), upload(device, gy, "plain"), upload(device, w, "plain")
    y = unwritten(device, geometry.output_shape, np.float32, "plain")
    gx = unwritten(device, geometry.input_shape, np.float32, "plain")
    primitives, kind = device.primitives, np.dtype(np.float32)

    scratch = workspace(device, primitives.convolution2d_forward_workspace(device, geometry, kind))
    primitives.convolution2d_forward(device, y, held_x, held_w, None, geometry, LINEAR, scratch)
    scratch = workspace(device, primitives.convolution2d_backward_data_workspace(device, geometry, kind))
    primitives.convolution2d_backward_data(device, gx, held_gy, held_w, geometry, False, scratch)
    np.testing.assert_array_equal(device.download(y), reference.forward(x, w, None, geometry))
    np.testing.assert_array_equal(device.download(gx), reference.backward_data(gy, w, geometry))
    gw, _ = run_backward_filter(device, geometry, held_x, held_gy)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))


@pytest.mark.parametrize(
    "name", ["3x3 same", "3x3, stride 2, three channels", "dilation 2, stride 3", "two groups", "1x1"]
)
def test_gradients_match_finite_differences(device: Device, name: str) -> None:
    geometry = CONVOLUTIONS[name]
    shapes = geometry.input_shape, geometry.filter_shape, (geometry.K,)
    values = [reals(seed, shape, np.float64) for seed, shape in enumerate(shapes)]
    gy = reals(3, geometry.output_shape, np.float64)
    held_gy = upload(device, gy)

    def loss(x: Host, w: Host, bias: Host) -> float:
        return float(np.sum(gy * run_forward(device, geometry, upload(device, x), w, bias)))

    gx = run_backward_data(device, geometry, held_gy, values[1])
    gradients = gx, *run_backward_filter(device, geometry, upload(device, values[0]), held_gy)
    for place, gradient in enumerate(gradients):
        direction = reals(10 + place, gradient.shape, np.float64)
        ends = []
        for step in (1e-3, -1e-3):
            moved = list(values)
            moved[place] = moved[place] + step * direction
            ends.append(loss(*moved))
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-6)


@st.composite
def geometries(draw: st.DrawFn) -> Conv2dGeometry:
    """Small convolutions of every kind that fit their padded image."""
    stride = Pair(draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    dilation = Pair(draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = Padding(*(draw(st.integers(0, 4)) for _ in range(4)))
    groups = draw(st.integers(1, 3))
    H, W = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    R = draw(st.integers(1, min(5, (H + padding.top + padding.bottom - 1) // dilation.rows + 1)))
    S = draw(st.integers(1, min(5, (W + padding.left + padding.right - 1) // dilation.columns + 1)))
    C, K = groups * draw(st.integers(1, 10)), groups * draw(st.sampled_from([1, 2, 3, 4, 30]))
    return Conv2dGeometry(draw(st.integers(1, 6)), H, W, C, K, R, S, stride, padding, dilation, groups)


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(geometry=geometries())
def test_drawn_shapes(device: Device, geometry: Conv2dGeometry) -> None:
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    gy = integers(3, geometry.output_shape, np.float32)
    held_x, held_gy = upload(device, x), upload(device, gy)
    y = run_forward(device, geometry, held_x, w, None)
    gx = run_backward_data(device, geometry, held_gy, w)
    gw, _ = run_backward_filter(device, geometry, held_x, held_gy)
    np.testing.assert_array_equal(y, reference.forward(x, w, None, geometry))
    np.testing.assert_array_equal(gx, reference.backward_data(gy, w, geometry))
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))


LARGE = {
    "AlexNet conv1": Conv2dGeometry(2, 224, 224, 3, 64, 11, 11, Pair(4, 4), Padding(2, 2, 2, 2)),
    "AlexNet conv2, two groups": Conv2dGeometry(2, 27, 27, 96, 256, 5, 5, padding=Padding(2, 2, 2, 2), groups=2),
    "VGG conv3": Conv2dGeometry(1, 56, 56, 128, 256, 3, 3, padding=Padding(1, 1, 1, 1)),
}


@pytest.mark.parametrize("geometry", LARGE.values(), ids=LARGE.keys())
def test_the_passes_are_adjoint_at_full_size(device: Device, geometry: Conv2dGeometry) -> None:
    """<conv(x, w), g> = <x, backward_data(g)> = <w, backward_filter(g)>, exact because all are integers."""
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    gy = integers(3, geometry.output_shape, np.float32)
    held_x, held_gy = upload(device, x), upload(device, gy)
    y = run_forward(device, geometry, held_x, w, None)
    gx = run_backward_data(device, geometry, held_gy, w)
    gw, gbias = run_backward_filter(device, geometry, held_x, held_gy)

    product = np.vdot(y.astype(np.float64), gy)
    assert np.vdot(x.astype(np.float64), gx) == product
    assert np.vdot(w.astype(np.float64), gw) == product
    np.testing.assert_array_equal(gbias, gy.sum((0, 1, 2), dtype=np.float64))

    padding = geometry.padding
    padded = np.pad(x, [(0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0)])
    for n, p, q, k in np.random.default_rng(4).integers(0, geometry.output_shape, (300, 4)):
        top, left = p * geometry.stride.rows, q * geometry.stride.columns
        channels = reference.group_slices(geometry)[k * geometry.groups // geometry.K][0]
        read = padded[n, top : top + geometry.R, left : left + geometry.S, channels]
        assert y[n, p, q, k] == np.sum(read.astype(np.float64) * w[..., k])


def test_the_lecture_example_is_one_matrix_product(device: Device) -> None:
    """200x200x3, 75 filters 10x10x3, stride 2: (75x300)(300x9216) gives 75x96x96."""
    geometry = Conv2dGeometry(1, 200, 200, 3, 75, 10, 10, Pair(2, 2))
    assert geometry.output_shape == (1, 96, 96, 75)
    x, w = integers(1, geometry.input_shape, np.float32), integers(2, geometry.filter_shape, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (10, 10), axis=(0, 1))[::2, ::2]
    patches = windows.transpose(3, 4, 2, 0, 1).reshape(300, 9216)
    filters = w.reshape(300, 75).T
    y = run_forward(device, geometry, upload(device, x), w, None)
    np.testing.assert_array_equal(y[0].transpose(2, 0, 1), (filters @ patches).reshape(75, 96, 96))


def test_nan_and_infinity_reach_the_pixels_that_read_them(device: Device) -> None:
    geometry = CONVOLUTIONS["3x3 same"]
    x, w = np.ones(geometry.input_shape, np.float32), np.ones(geometry.filter_shape, np.float32)
    w[..., 1] = 0
    x[1, 2, 3, 4], x[2, 0, 0, 0] = np.nan, np.inf
    y = run_forward(device, geometry, upload(device, x), w, None)
    is_nan = np.zeros(geometry.output_shape, bool)
    is_nan[1, 1:4, 2:5] = True
    is_nan[2, :2, :2, 1] = True
    np.testing.assert_array_equal(np.isnan(y), is_nan)
    assert np.all(y[2, :2, :2, 0] == np.inf)


def test_a_second_run_gives_the_same_bits(device: Device) -> None:
    geometry = CONVOLUTIONS["more pixels than one block"]
    x, gy = reals(1, geometry.input_shape, np.float32), reals(2, geometry.output_shape, np.float32)
    runs = [run_backward_filter(device, geometry, upload(device, x), upload(device, gy)) for _ in range(3)]
    for gw, gbias in runs[1:]:
        np.testing.assert_array_equal(gw, runs[0][0])
        np.testing.assert_array_equal(gbias, runs[0][1])
