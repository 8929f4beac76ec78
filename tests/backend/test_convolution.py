"""Convolution against float64 loops, finite differences, the adjoint identity and the lecture's matrix product."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpunn.backend.attributes import LINEAR, RELU, Activation, Arithmetic
from gpunn.backend.contract import Array, Device
from gpunn.geometry import Conv2dGeometry, Padding, Pair
from tests.backend.arrays import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOATS,
    Host,
    integers,
    reals,
    summed,
    unwritten,
    upload,
    upload_slice,
    workspace,
)
from tests.backend.rounding import computing, rounding, smallest_step
from tests.cases.convolution import CONVOLUTIONS, TILES
from tests.reference import activation as activation_reference
from tests.reference import convolution as reference

#: The check build is some 20 times slower: it runs the smaller cases, which differ in everything but size.
CHECKED_FLOPS = 150_000


def on_every_device(cases: Mapping[str, Conv2dGeometry]) -> pytest.MarkDecorator:
    """A test's parameters `device` and `geometry`."""
    return pytest.mark.parametrize(
        ("device", "geometry"),
        [
            pytest.param(device, geometry, id=f"{device}-{name}")
            for device in ("cpu", "emulator", "emulator:check")
            for name, geometry in cases.items()
            if device != "emulator:check" or geometry.flops <= CHECKED_FLOPS
        ],
        indirect=["device"],
    )


def chosen(*names: str) -> dict[str, Conv2dGeometry]:
    return {name: CONVOLUTIONS[name] for name in names}


each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def arithmetic(dtype: Any) -> Arithmetic:
    return Arithmetic(np.dtype(dtype).name, "direct")


def run_forward(
    device: Device,
    geometry: Conv2dGeometry,
    x: Array,
    w: Host,
    bias: Host | None,
    function: Activation = LINEAR,
    y: Array | None = None,
) -> Host:
    if y is None:
        y = unwritten(device, geometry.output_shape, w.dtype)
    settings = arithmetic(w.dtype)
    scratch = workspace(device, device.primitives.convolution2d_forward_workspace(device, geometry, w.dtype, settings))
    held = None if bias is None else upload(device, bias)
    device.primitives.convolution2d_forward(
        device, y, x, upload(device, w, "plain"), held, geometry, function, settings, scratch
    )
    return device.download(y)


def run_backward_data(
    device: Device,
    geometry: Conv2dGeometry,
    gy: Array,
    w: Host,
    before: Host | None = None,
    saved: Host | None = None,
    function: Activation = LINEAR,
    gx: Array | None = None,
) -> Host:
    if gx is None:
        gx = unwritten(device, geometry.input_shape, w.dtype) if before is None else upload(device, before)
    settings = arithmetic(w.dtype)
    size = device.primitives.convolution2d_backward_data_workspace(device, geometry, w.dtype, settings)
    device.primitives.convolution2d_backward_data(
        device,
        gx,
        gy,
        upload(device, w, "plain"),
        None if saved is None else upload(device, saved),
        geometry,
        function,
        before is not None,
        settings,
        workspace(device, size),
    )
    return device.download(gx)


def run_backward_filter(
    device: Device, geometry: Conv2dGeometry, x: Array, gy: Array, before: tuple[Host, Host] | None = None
) -> tuple[Host, Host]:
    dtype, settings = summed(x.dtype), arithmetic(x.dtype)
    if before is None:
        gw = unwritten(device, geometry.filter_shape, dtype, "plain")
        gbias = unwritten(device, (geometry.K,), dtype)
    else:
        gw, gbias = upload(device, before[0], "plain"), upload(device, before[1])
    size = device.primitives.convolution2d_backward_filter_workspace(device, geometry, x.dtype, settings)
    device.primitives.convolution2d_backward_filter(
        device, gw, gbias, x, gy, geometry, before is not None, settings, workspace(device, size)
    )
    return device.download(gw), device.download(gbias)


# The same integers whatever the type, so that the loops run once a geometry.


@cache
def exact_forward(geometry: Conv2dGeometry) -> Host:
    x, w, bias = (integers(seed, shape, FLOAT32) for seed, shape in enumerate(forward_shapes(geometry)))
    return reference.forward(x, w, bias, geometry)


@cache
def exact_backward_data(geometry: Conv2dGeometry) -> Host:
    gy, w = integers(1, geometry.output_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    return reference.backward_data(gy, w, geometry)


@cache
def exact_backward_filter(geometry: Conv2dGeometry) -> tuple[Host, Host]:
    x, gy = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.output_shape, FLOAT32)
    return reference.backward_filter(x, gy, geometry), gy.sum((0, 1, 2), dtype=np.float64)


def forward_shapes(geometry: Conv2dGeometry) -> tuple[tuple[int, ...], ...]:
    return geometry.input_shape, geometry.filter_shape, (geometry.K,)


@on_every_device(CONVOLUTIONS)
@each_dtype
def test_forward_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    shapes, kinds = forward_shapes(geometry), (dtype, dtype, summed(dtype))
    x, w, bias = (integers(seed, *pair) for seed, pair in enumerate(zip(shapes, kinds, strict=True)))
    result = run_forward(device, geometry, upload(device, x), w, bias)
    np.testing.assert_array_equal(result, exact_forward(geometry).astype(dtype))


@on_every_device(CONVOLUTIONS)
@each_dtype
def test_backward_data_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    gy, w = integers(1, geometry.output_shape, dtype), integers(2, geometry.filter_shape, dtype)
    before = integers(3, geometry.input_shape, dtype)
    expected = exact_backward_data(geometry)
    held = upload(device, gy)
    np.testing.assert_array_equal(run_backward_data(device, geometry, held, w), expected.astype(dtype))
    added = run_backward_data(device, geometry, held, w, before)
    np.testing.assert_array_equal(added, (expected + before.astype(np.float64)).astype(dtype))


@on_every_device(CONVOLUTIONS)
@each_dtype
def test_backward_filter_of_integers_is_exact(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    x, gy = integers(1, geometry.input_shape, dtype), integers(2, geometry.output_shape, dtype)
    before = integers(3, geometry.filter_shape, summed(dtype)), integers(4, (geometry.K,), summed(dtype))
    expected = exact_backward_filter(geometry)
    arrays = upload(device, x), upload(device, gy)
    for result, right in zip(run_backward_filter(device, geometry, *arrays), expected, strict=True):
        assert result.dtype == summed(dtype)
        np.testing.assert_array_equal(result, right)
    added = run_backward_filter(device, geometry, *arrays, before)
    for result, right, first in zip(added, expected, before, strict=True):
        np.testing.assert_array_equal(result, right + first)


#: How many roundings of the sum of all magnitudes an error may be.
ROUNDINGS = 8


@on_every_device(chosen("3x3 same", "more pixels than one block, few channels", "dilation 2, stride 3", *TILES))
@each_dtype
def test_real_numbers_obey_the_rounding_bound(device: Device, geometry: Conv2dGeometry, dtype: Any) -> None:
    x, w = reals(1, geometry.input_shape, dtype), reals(2, geometry.filter_shape, dtype)
    bias, gy = reals(3, (geometry.K,), summed(dtype)), reals(4, geometry.output_shape, dtype)
    held_x, held_gy = upload(device, x), upload(device, gy)
    gw, gbias = run_backward_filter(device, geometry, held_x, held_gy)
    wide_gy = gy.astype(np.float64)
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
        (gbias, wide_gy.sum((0, 1, 2)), abs(wide_gy).sum((0, 1, 2))),
    ]
    for result, expected, size in triples:
        error = np.abs(result.astype(np.float64) - expected)
        assert np.all(error <= ROUNDINGS * computing(dtype) / 2 * size + rounding(result.dtype) * abs(expected))


@on_every_device(chosen("3x3 same", "more pixels than one block, few channels", "many taps, few pixels"))
@each_dtype
@pytest.mark.parametrize("function", [RELU, Activation("softplus")], ids=lambda function: function.name)
def test_forward_ends_with_the_activation(
    device: Device, geometry: Conv2dGeometry, function: Activation, dtype: Any
) -> None:
    shapes, kinds = forward_shapes(geometry), (dtype, dtype, summed(dtype))
    x, w, bias = (integers(seed, *pair) for seed, pair in enumerate(zip(shapes, kinds, strict=True)))
    before = exact_forward(geometry)
    expected = np.maximum(before, 0) if function is RELU else np.logaddexp(before.astype(dtype).astype(np.float64), 0)
    result = run_forward(device, geometry, upload(device, x), w, bias, function).astype(np.float64)
    np.testing.assert_allclose(
        result, expected, rtol=4 * (computing(dtype) + rounding(dtype)), atol=smallest_step(dtype)
    )


@on_every_device(chosen("3x3 same", "1x1, stride 2", "many filters, few pixels, stride 2", "everything uneven"))
@each_dtype
@pytest.mark.parametrize(
    "function", [RELU, Activation("tanh"), Activation("swish")], ids=lambda function: function.name
)
def test_backward_data_ends_with_the_derivative(
    device: Device, geometry: Conv2dGeometry, function: Activation, dtype: Any
) -> None:
    gy, w = integers(1, geometry.output_shape, dtype), integers(2, geometry.filter_shape, dtype)
    x = reals(3, geometry.input_shape, FLOAT32).astype(np.float64)
    y = np.array([activation_reference.activation(function, float(value)) for value in x.ravel()]).reshape(x.shape)
    saved = (x if function.backward_reads == "x" else y).astype(dtype)
    result = run_backward_data(device, geometry, upload(device, gy), w, saved=saved, function=function)
    product = exact_backward_data(geometry).astype(dtype).astype(np.float64)
    if function is RELU:
        np.testing.assert_array_equal(result, np.where(saved > 0, product, 0))
        return
    slope = np.array([activation_reference.slope(function, float(value)) for value in x.ravel()]).reshape(x.shape)
    # Rounded are what is saved, on which the slopes depend gently, the product and the result.
    room = abs(product) * (4 * rounding(dtype) * (1 + abs(x)) + 1e-6)
    assert np.all(abs(result.astype(np.float64) - product * slope) <= room)


@pytest.mark.parametrize("device", ["emulator", "emulator:check"], indirect=True)
@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=str)
@pytest.mark.parametrize("name", ["3x3 same", "many taps, few pixels", "everything uneven"])
def test_the_output_may_be_wider_than_the_input(device: Device, name: str, dtype: Any) -> None:
    geometry = CONVOLUTIONS[name]
    shapes, kinds = forward_shapes(geometry), (dtype, dtype, FLOAT32)
    x, w, bias = (integers(seed, *pair) for seed, pair in enumerate(zip(shapes, kinds, strict=True)))
    y = unwritten(device, geometry.output_shape, FLOAT32)
    result = run_forward(device, geometry, upload(device, x), w, bias, RELU, y)
    np.testing.assert_array_equal(result, np.maximum(exact_forward(geometry), 0))


@on_every_device(
    chosen("3x3 same", "1x1", "3x3 same, three channels", "1x1, stride 2", "two groups, 1x1", "many taps, few pixels")
)
@pytest.mark.parametrize("margin", [(2, 3), (4, 4)], ids=["odd pitch", "pitch of quads"])
@each_dtype
def test_channel_slices(device: Device, geometry: Conv2dGeometry, margin: tuple[int, int], dtype: Any) -> None:
    x, w = integers(1, geometry.input_shape, dtype), integers(2, geometry.filter_shape, dtype)
    gy, saved = integers(3, geometry.output_shape, dtype), integers(4, geometry.input_shape, dtype)
    before, after = margin
    wide_y = upload(device, np.full((*geometry.output_shape[:3], before + geometry.K + after), 7, dtype))
    wide_gx = upload(device, np.full((*geometry.input_shape[:3], before + geometry.C + after), 7, dtype))
    y, gx = wide_y[..., before : before + geometry.K], wide_gx[..., before : before + geometry.C]
    held_x, held_gy = upload_slice(device, x, before, after), upload_slice(device, gy, before, after)

    expected = reference.forward(x, w, None, geometry).astype(dtype)
    np.testing.assert_array_equal(run_forward(device, geometry, held_x, w, None, y=y), expected)
    expected = np.where(saved > 0, reference.backward_data(gy, w, geometry), 0).astype(dtype)
    result = run_backward_data(device, geometry, held_gy, w, saved=saved, function=RELU, gx=gx)
    np.testing.assert_array_equal(result, expected)
    for wide, channels in ((wide_y, geometry.K), (wide_gx, geometry.C)):
        neighbours = np.delete(device.download(wide), range(before, before + channels), axis=-1)
        np.testing.assert_array_equal(neighbours, 7)

    gw, _ = run_backward_filter(device, geometry, held_x, held_gy)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))


@pytest.mark.parametrize("name", ["3x3 same", "1x1", "3x3, stride 2, three channels", "rows cut into blocks"])
def test_images_in_plain_order(cpu: Device, name: str) -> None:
    geometry = CONVOLUTIONS[name]
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    gy = integers(3, geometry.output_shape, FLOAT32)
    held_x, held_gy = upload(cpu, x, "plain"), upload(cpu, gy, "plain")
    y = unwritten(cpu, geometry.output_shape, FLOAT32, "plain")
    gx = unwritten(cpu, geometry.input_shape, FLOAT32, "plain")
    expected = reference.forward(x, w, None, geometry)
    np.testing.assert_array_equal(run_forward(cpu, geometry, held_x, w, None, y=y), expected)
    expected = reference.backward_data(gy, w, geometry)
    np.testing.assert_array_equal(run_backward_data(cpu, geometry, held_gy, w, gx=gx), expected)
    gw, _ = run_backward_filter(cpu, geometry, held_x, held_gy)
    np.testing.assert_array_equal(gw, reference.backward_filter(x, gy, geometry))


def test_a_bias_without_gradient(device: Device) -> None:
    geometry = CONVOLUTIONS["many pixels, few taps"]
    x, gy = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.output_shape, FLOAT32)
    gw = unwritten(device, geometry.filter_shape, FLOAT32, "plain")
    settings = arithmetic(FLOAT32)
    size = device.primitives.convolution2d_backward_filter_workspace(device, geometry, FLOAT32, settings)
    device.primitives.convolution2d_backward_filter(
        device, gw, None, upload(device, x), upload(device, gy), geometry, False, settings, workspace(device, size)
    )
    np.testing.assert_array_equal(device.download(gw), exact_backward_filter(geometry)[0])


@pytest.mark.parametrize(
    "name", ["3x3 same", "3x3, stride 2, three channels", "dilation 2, stride 3", "two groups", "1x1"]
)
def test_gradients_match_finite_differences(cpu: Device, name: str) -> None:
    geometry = CONVOLUTIONS[name]
    shapes = geometry.input_shape, geometry.filter_shape, (geometry.K,)
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


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(geometry=geometries())
def test_drawn_shapes(device: Device, geometry: Conv2dGeometry) -> None:
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    gy = integers(3, geometry.output_shape, FLOAT32)
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


@pytest.mark.parametrize("device", ["cpu", "emulator"], indirect=True)
@pytest.mark.parametrize("geometry", LARGE.values(), ids=LARGE.keys())
def test_the_passes_are_adjoint_at_full_size(device: Device, geometry: Conv2dGeometry) -> None:
    """<conv(x, w), g> = <x, backward_data(g)> = <w, backward_filter(g)>, exact because all are integers."""
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    gy = integers(3, geometry.output_shape, FLOAT32)
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


@pytest.mark.parametrize("device", ["cpu", "emulator"], indirect=True)
def test_the_lecture_example_is_one_matrix_product(device: Device) -> None:
    """200x200x3, 75 filters 10x10x3, stride 2: (75x300)(300x9216) gives 75x96x96."""
    geometry = Conv2dGeometry(1, 200, 200, 3, 75, 10, 10, Pair(2, 2))
    assert geometry.output_shape == (1, 96, 96, 75)
    x, w = integers(1, geometry.input_shape, FLOAT32), integers(2, geometry.filter_shape, FLOAT32)
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (10, 10), axis=(0, 1))[::2, ::2]
    patches = windows.transpose(3, 4, 2, 0, 1).reshape(300, 9216)
    filters = w.reshape(300, 75).T
    y = run_forward(device, geometry, upload(device, x), w, None)
    np.testing.assert_array_equal(y[0].transpose(2, 0, 1), (filters @ patches).reshape(75, 96, 96))


def test_nan_and_infinity_reach_the_pixels_that_read_them(device: Device) -> None:
    geometry = CONVOLUTIONS["3x3 same"]
    x, w = np.ones(geometry.input_shape, FLOAT32), np.ones(geometry.filter_shape, FLOAT32)
    w[..., 1] = 0
    x[1, 2, 3, 4], x[2, 0, 0, 0] = np.nan, np.inf
    y = run_forward(device, geometry, upload(device, x), w, None)
    is_nan = np.zeros(geometry.output_shape, bool)
    is_nan[1, 1:4, 2:5] = True
    is_nan[2, :2, :2, 1] = True
    np.testing.assert_array_equal(np.isnan(y), is_nan)
    assert np.all(y[2, :2, :2, 0] == np.inf)


@on_every_device(chosen("more pixels than one block", "many taps, few pixels", "many filters, few pixels, stride 2"))
def test_a_second_run_gives_the_same_bits(device: Device, geometry: Conv2dGeometry) -> None:
    x, gy = reals(1, geometry.input_shape, FLOAT32), reals(2, geometry.output_shape, FLOAT32)
    w = reals(3, geometry.filter_shape, FLOAT32)
    runs = [
        (
            run_forward(device, geometry, upload(device, x), w, None),
            run_backward_data(device, geometry, upload(device, gy), w),
            *run_backward_filter(device, geometry, upload(device, x), upload(device, gy)),
        )
        for _ in range(3)
    ]
    for again in runs[1:]:
        for result, first in zip(again, runs[0], strict=True):
            assert result.tobytes() == first.tobytes()
