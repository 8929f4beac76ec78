"""Pooling against float64 loops, finite differences and the lecture's worked example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpunn.backend.contract import Array, Device
from gpunn.backend.cpu.shared import blocks
from gpunn.errors import UsageError
from gpunn.geometry import Padding, Pair, Pool2dGeometry
from tests.backend.arrays import FLOAT32, FLOAT64, FLOATS, Host, reals, unwritten, upload, upload_slice, workspace
from tests.cases.pooling import POOLINGS
from tests.reference import pooling as reference
from tests.reference.finite_differences import gradient

each_case = pytest.mark.parametrize("geometry", POOLINGS.values(), ids=POOLINGS.keys())
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)
#: Hundreds of places and many channels are left out where every element is moved four times.
SMALL = {name: geometry for name, geometry in POOLINGS.items() if geometry.R * geometry.S < 100 and geometry.C < 16}
each_small_case = pytest.mark.parametrize("geometry", SMALL.values(), ids=SMALL.keys())
GLOBAL_SHAPES = [(3, 4, 5, 6), (1, 1, 1, 1), (5, 1, 1, 3), (2, 3, 5, 16), (2, 5, 4, 40)]


def integers(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    """Small integers: many ties, and sums that every precision holds exactly."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def widest(device: Device) -> np.dtype[Any]:
    """The widest number type that the device computes in."""
    return FLOAT64 if device.name == "cpu" else FLOAT32


def rounded(exact: Host, dtype: np.dtype[Any]) -> Host:
    """The results of one rounding, or of two where numbers of 16 bits are computed as float32."""
    return exact.astype(np.float32).astype(dtype) if dtype.itemsize == 2 else exact.astype(dtype)


def assert_rounded_sums(found: Host, exact: Host, roundings: int, magnitude: Host) -> None:
    """One of `roundings` errors for each operation of a sum, and one more for the number type of the result."""
    summed = np.result_type(found.dtype, np.float32)
    bound = roundings * np.finfo(summed).eps * magnitude + ml_dtypes.finfo(found.dtype).eps * np.abs(exact)
    assert (np.abs(found.astype(np.float64) - exact) <= bound).all()


def distinct(seed: int, shape: tuple[int, ...]) -> Host:
    """Values at least 0.1 apart, so that a small change moves no maximum and no median."""
    count = int(np.prod(shape))
    return np.random.default_rng(seed).permutation(count).reshape(shape) / 10 - count / 20


def places(geometry: Pool2dGeometry) -> type:
    return np.uint8 if geometry.R * geometry.S <= 256 else np.int32


def run_maximum(device: Device, geometry: Pool2dGeometry, x: Array) -> tuple[Host, Array]:
    y = unwritten(device, geometry.output_shape, x.dtype)
    argmax = unwritten(device, geometry.output_shape, places(geometry))
    device.primitives.maximum_pool2d_forward(device, y, argmax, x, geometry)
    return device.download(y), argmax


def run_mean(device: Device, geometry: Pool2dGeometry, x: Array) -> Host:
    y = unwritten(device, geometry.output_shape, x.dtype)
    device.primitives.mean_pool2d_forward(device, y, x, geometry)
    return device.download(y)


def run_median(device: Device, geometry: Pool2dGeometry, x: Array) -> Host:
    y = unwritten(device, geometry.output_shape, x.dtype)
    scratch = workspace(device, device.primitives.median_pool2d_forward_workspace(device, geometry, x.dtype))
    device.primitives.median_pool2d_forward(device, y, x, geometry, scratch)
    return device.download(y)


def run_maximum_backward(
    device: Device, geometry: Pool2dGeometry, gy: Array, x: Array, before: Host | None = None
) -> Host:
    _, argmax = run_maximum(device, geometry, x)
    gx = unwritten(device, geometry.input_shape, x.dtype) if before is None else upload(device, before)
    device.primitives.maximum_pool2d_backward(device, gx, gy, argmax, geometry, before is not None)
    return device.download(gx)


def run_mean_backward(
    device: Device, geometry: Pool2dGeometry, gy: Array, x: Array, before: Host | None = None
) -> Host:
    gx = unwritten(device, geometry.input_shape, x.dtype) if before is None else upload(device, before)
    device.primitives.mean_pool2d_backward(device, gx, gy, geometry, before is not None)
    return device.download(gx)


def run_median_backward(
    device: Device, geometry: Pool2dGeometry, gy: Array, x: Array, before: Host | None = None
) -> Host:
    gx = unwritten(device, geometry.input_shape, x.dtype) if before is None else upload(device, before)
    scratch = workspace(device, device.primitives.median_pool2d_backward_workspace(device, geometry, x.dtype))
    device.primitives.median_pool2d_backward(device, gx, gy, x, geometry, before is not None, scratch)
    return device.download(gx)


@each_case
@each_dtype
def test_maximum_and_its_first_place_are_exact(device: Device, geometry: Pool2dGeometry, dtype: Any) -> None:
    x = integers(1, geometry.input_shape, dtype)
    y, argmax = run_maximum(device, geometry, upload(device, x))
    expected, expected_places = reference.maximum(x, geometry)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(device.download(argmax), expected_places)


@each_case
@each_dtype
def test_mean_is_the_rounded_quotient(device: Device, geometry: Pool2dGeometry, dtype: Any) -> None:
    x = integers(2, geometry.input_shape, dtype)
    y = run_mean(device, geometry, upload(device, x))
    np.testing.assert_array_equal(y, rounded(reference.mean(x, geometry), dtype))


@each_case
@each_dtype
def test_mean_of_real_numbers(device: Device, geometry: Pool2dGeometry, dtype: Any) -> None:
    x = reals(20, geometry.input_shape, dtype)
    y = run_mean(device, geometry, upload(device, x))
    magnitude = reference.mean(np.abs(x), geometry)
    assert_rounded_sums(y, reference.mean(x, geometry), geometry.R * geometry.S, magnitude)


@each_case
@each_dtype
def test_median_is_exact(device: Device, geometry: Pool2dGeometry, dtype: Any) -> None:
    x = integers(3, geometry.input_shape, dtype)
    np.testing.assert_array_equal(run_median(device, geometry, upload(device, x)), reference.median(x, geometry))


@each_case
@each_dtype
def test_maximum_backward_is_exact(device: Device, geometry: Pool2dGeometry, dtype: Any) -> None:
    x, gy = integers(4, geometry.input_shape, dtype), integers(5, geometry.output_shape, dtype)
    before = integers(6, geometry.input_shape, dtype)
    expected = reference.maximum_backward(gy, x, geometry)
    held = upload(device, gy), upload(device, x)
    np.testing.assert_array_equal(run_maximum_backward(device, geometry, *held), expected)
    np.testing.assert_array_equal(run_maximum_backward(device, geometry, *held, before), before + expected)


@each_case
@each_dtype
def test_median_backward_is_exact(device: Device, geometry: Pool2dGeometry, dtype: Any) -> None:
    x, gy = integers(4, geometry.input_shape, dtype), integers(5, geometry.output_shape, dtype)
    before = integers(6, geometry.input_shape, dtype)
    expected = reference.median_backward(gy, x, geometry)
    held = upload(device, gy), upload(device, x)
    np.testing.assert_array_equal(run_median_backward(device, geometry, *held), expected)
    np.testing.assert_array_equal(run_median_backward(device, geometry, *held, before), before + expected)


@each_case
@each_dtype
def test_mean_backward(device: Device, geometry: Pool2dGeometry, dtype: Any) -> None:
    x, gy = integers(4, geometry.input_shape, dtype), integers(5, geometry.output_shape, dtype)
    before = integers(6, geometry.input_shape, dtype)
    held = upload(device, gy), upload(device, x)
    expected = reference.mean_backward(gy, geometry)
    # One rounding for each quotient and each sum.
    roundings = geometry.R * geometry.S + 2
    magnitude = reference.mean_backward(np.abs(gy), geometry)
    assert_rounded_sums(run_mean_backward(device, geometry, *held), expected, roundings, magnitude)
    accumulated = run_mean_backward(device, geometry, *held, before)
    assert_rounded_sums(accumulated, before + expected, roundings, magnitude + np.abs(before))


@st.composite
def geometries(draw: st.DrawFn) -> Pool2dGeometry:
    """Any small pooling, uneven in every respect."""
    window = Pair(draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    rows, columns = (st.integers(0, size - 1) for size in window)
    try:
        return Pool2dGeometry(
            draw(st.integers(1, 3)),
            draw(st.integers(1, 8)),
            draw(st.integers(1, 8)),
            draw(st.integers(1, 3)),
            *window,
            Pair(draw(st.integers(1, 5)), draw(st.integers(1, 5))),
            Padding(draw(rows), draw(rows), draw(columns), draw(columns)),
            draw(st.booleans()),
        )
    except UsageError:
        assume(False)
        raise


@settings(max_examples=50, derandomize=True, deadline=None, database=None)
@given(geometry=geometries())
def test_drawn_shapes(device: Device, geometry: Pool2dGeometry) -> None:
    dtype = widest(device)
    x, gy = integers(18, geometry.input_shape, dtype), integers(19, geometry.output_shape, dtype)
    held, gradients = upload(device, x), upload(device, gy)
    y, argmax = run_maximum(device, geometry, held)
    expected, expected_places = reference.maximum(x, geometry)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(device.download(argmax), expected_places)
    np.testing.assert_array_equal(run_mean(device, geometry, held), reference.mean(x, geometry).astype(dtype))
    np.testing.assert_array_equal(run_median(device, geometry, held), reference.median(x, geometry))
    gx = run_maximum_backward(device, geometry, gradients, held)
    np.testing.assert_array_equal(gx, reference.maximum_backward(gy, x, geometry))
    gx = run_median_backward(device, geometry, gradients, held)
    np.testing.assert_array_equal(gx, reference.median_backward(gy, x, geometry))
    gx = run_mean_backward(device, geometry, gradients, held)
    magnitude = reference.mean_backward(np.abs(gy), geometry)
    assert_rounded_sums(gx, reference.mean_backward(gy, geometry), geometry.R * geometry.S + 2, magnitude)


@each_small_case
@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda *arguments: run_maximum(*arguments)[0], run_maximum_backward),
        (run_mean, run_mean_backward),
        (run_median, run_median_backward),
    ],
    ids=["maximum", "mean", "median"],
)
def test_gradient_by_finite_differences(
    cpu: Device, geometry: Pool2dGeometry, forward: Callable[..., Host], backward: Callable[..., Host]
) -> None:
    x = distinct(7, geometry.input_shape)
    gy = np.random.default_rng(8).standard_normal(geometry.output_shape)
    numeric = gradient(lambda moved: float((gy * forward(cpu, geometry, upload(cpu, moved))).sum()), x)
    analytic = backward(cpu, geometry, upload(cpu, gy), upload(cpu, x))
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-6 * np.abs(gy).max())


@pytest.mark.parametrize(
    "name", ["3x3, stride 2, padded", "sixteen channels, 3x3, stride 2", "sixteen channels, overlapping, padded"]
)
@pytest.mark.parametrize(("channels_before", "channels_after"), [(3, 2), (8, 16)])
@each_dtype
def test_channel_slices(device: Device, name: str, channels_before: int, channels_after: int, dtype: Any) -> None:
    def slice_of(host: Host) -> Array:
        return upload_slice(device, host, channels_before, channels_after)

    geometry = POOLINGS[name]
    x, gy = integers(9, geometry.input_shape, dtype), integers(10, geometry.output_shape, dtype)
    held, gradients = slice_of(x), slice_of(gy)
    y, gx = (slice_of(np.zeros(shape, dtype)) for shape in (geometry.output_shape, geometry.input_shape))
    argmax = unwritten(device, geometry.output_shape, np.uint8)
    device.primitives.maximum_pool2d_forward(device, y, argmax, held, geometry)
    np.testing.assert_array_equal(device.download(y), reference.maximum(x, geometry)[0])
    device.primitives.maximum_pool2d_backward(device, gx, gradients, argmax, geometry, False)
    np.testing.assert_array_equal(device.download(gx), reference.maximum_backward(gy, x, geometry))
    device.primitives.mean_pool2d_forward(device, y, held, geometry)
    np.testing.assert_array_equal(device.download(y), rounded(reference.mean(x, geometry), np.dtype(dtype)))
    device.primitives.mean_pool2d_backward(device, gx, gradients, geometry, False)
    magnitude = reference.mean_backward(np.abs(gy), geometry)
    assert_rounded_sums(device.download(gx), reference.mean_backward(gy, geometry), 11, magnitude)
    np.testing.assert_array_equal(run_median(device, geometry, held), reference.median(x, geometry))
    median_gradient = run_median_backward(device, geometry, gradients, held)
    np.testing.assert_array_equal(median_gradient, reference.median_backward(gy, x, geometry))


@pytest.mark.parametrize("window", [2, 3])
def test_large_layers_equal_their_small_repetition(cpu: Device, window: int) -> None:
    """Blocks and threads: a large batch of many channels that repeats a small one."""
    small = Pool2dGeometry(2, 14, 15, 3, window, window, Pair(2, 2))
    large = Pool2dGeometry(32, 14, 15, 192, window, window, Pair(2, 2))
    repeats = (16, 1, 1, 64)
    x, gy = integers(11, small.input_shape, np.float32), integers(12, small.output_shape, np.float32)
    held, gradients = upload(cpu, np.tile(x, repeats)), upload(cpu, np.tile(gy, repeats))
    y, argmax = run_maximum(cpu, large, held)
    expected, expected_places = reference.maximum(x, small)
    np.testing.assert_array_equal(y, np.tile(expected, repeats))
    np.testing.assert_array_equal(cpu.download(argmax), np.tile(expected_places, repeats))
    for run, expected_gradient in (
        (run_maximum_backward, reference.maximum_backward(gy, x, small)),
        (run_median_backward, reference.median_backward(gy, x, small)),
        (run_mean_backward, reference.mean_backward(gy, small)),
    ):
        np.testing.assert_allclose(
            run(cpu, large, gradients, held), np.tile(expected_gradient, repeats), rtol=1e-6, atol=1e-6
        )
    np.testing.assert_array_equal(run_mean(cpu, large, held), np.tile(reference.mean(x, small), repeats).astype("f"))
    np.testing.assert_array_equal(run_median(cpu, large, held), np.tile(reference.median(x, small), repeats))


@pytest.mark.parametrize("name", ["3x3, stride 2", "sixteen channels"])
def test_maximum_without_places(device: Device, name: str) -> None:
    geometry = POOLINGS[name]
    x = integers(13, geometry.input_shape, np.float32)
    y = unwritten(device, geometry.output_shape, np.float32)
    device.primitives.maximum_pool2d_forward(device, y, None, upload(device, x), geometry)
    np.testing.assert_array_equal(device.download(y), reference.maximum(x, geometry)[0])


@each_dtype
@pytest.mark.parametrize("window", [2, 3])
def test_a_nan_wins_in_many_channels(device: Device, window: int, dtype: Any) -> None:
    """Channel c holds NaN at place c of the first window; without one, the first place of the largest wins."""
    geometry = Pool2dGeometry(1, window, window + 2, 16, window, window, Pair(2, 2))
    x = np.full(geometry.input_shape, -np.inf).astype(dtype)
    places = window * window
    for c in range(places):
        x[0, c // window, c % window, c] = np.nan
    y, argmax = run_maximum(device, geometry, upload(device, x))
    expected, expected_places = np.full(16, -np.inf), np.zeros(16)
    expected[:places], expected_places[:places] = np.nan, places - 1
    np.testing.assert_array_equal(y[0, 0, 0].astype(np.float64), expected)
    np.testing.assert_array_equal(device.download(argmax)[0, 0, 0], expected_places)


def test_nan_and_infinity_pass_through(device: Device) -> None:
    geometry = Pool2dGeometry(1, 2, 8, 1, 2, 2, Pair(2, 2))
    x = np.array([[1, 2, np.nan, 4, np.inf, 6, -np.inf, -np.inf], [3, 0, 5, 6, 7, 8, -np.inf, -np.inf]])
    x = x.astype(widest(device))
    held = upload(device, x.reshape(geometry.input_shape))
    maximum, argmax = run_maximum(device, geometry, held)
    np.testing.assert_array_equal(maximum.ravel(), [3, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(device.download(argmax).ravel(), [2, 3, 0, 0])
    np.testing.assert_array_equal(run_mean(device, geometry, held).ravel(), [1.5, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(run_median(device, geometry, held).ravel(), [1.5, np.nan, 7.5, -np.inf])


@pytest.mark.parametrize("value", [np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal])
def test_the_median_of_extreme_values_is_one_of_them(device: Device, value: np.float32) -> None:
    """Half of the smallest number is 0, and the sum of two of the largest is infinite."""
    x = np.full((1, 1, 4, 1), value)
    odd, even = Pool2dGeometry(1, 1, 4, 1, 1, 3), Pool2dGeometry(1, 1, 4, 1, 1, 2)
    assert (run_median(device, odd, upload(device, x)) == value).all()
    assert np.isfinite(run_median(device, even, upload(device, x))).all()


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_nan_wins_at_the_last_place_in_the_image(device: Device, place: int) -> None:
    """The windows of a 3x3 image, padded at the end, end at its last row and column."""
    geometry = Pool2dGeometry(1, 3, 3, 1, 3, 3, Pair(1, 1), Padding(0, 1, 0, 1))
    x = np.arange(9, dtype=np.float32)
    x[place] = np.nan
    held = upload(device, x.reshape(geometry.input_shape))
    y, argmax = run_maximum(device, geometry, held)
    spoiled = [place == 0 or place == 4 or place == 8, place in (4, 8), place in (4, 8), place in (4, 8)]
    np.testing.assert_array_equal(np.isnan(y.ravel()), spoiled)
    np.testing.assert_array_equal(device.download(argmax).ravel(), [8, 7, 5, 4])
    gy = upload(device, np.array([1, 2, 4, 8], np.float32).reshape(geometry.output_shape))
    expected = np.zeros(9)
    expected[8] = 15
    np.testing.assert_array_equal(run_maximum_backward(device, geometry, gy, held).ravel(), expected)
    if place:
        np.testing.assert_array_equal(run_median_backward(device, geometry, gy, held).ravel(), expected)


@pytest.mark.parametrize("place", range(9))
def test_median_of_a_window_with_nan_is_nan(device: Device, place: int) -> None:
    geometry = Pool2dGeometry(1, 3, 3, 1, 3, 3)
    x = np.arange(9, dtype=widest(device))
    x[place] = np.nan
    assert np.isnan(run_median(device, geometry, upload(device, x.reshape(geometry.input_shape)))).all()


def test_places_above_255(device: Device) -> None:
    """The last of 289 places holds the maximum, or the median."""
    geometry = Pool2dGeometry(1, 17, 17, 1, 17, 17)
    gy, expected = np.ones((1, 1, 1, 1), np.float32), np.eye(1, 289, 288).reshape(geometry.input_shape)
    for run, values in (
        (run_maximum_backward, np.arange(289.0)),
        (run_median_backward, np.repeat([0.0, 2.0, 1.0], [144, 144, 1])),
    ):
        x = upload(device, values.astype(np.float32).reshape(geometry.input_shape))
        np.testing.assert_array_equal(run(device, geometry, upload(device, gy), x), expected)


@pytest.mark.parametrize("channels", [1, 8])
def test_an_infinite_gradient_reaches_only_the_place_that_won(device: Device, channels: int) -> None:
    geometry = Pool2dGeometry(1, 2, 2, channels, 2, 2, Pair(2, 2))
    x = np.repeat(np.array([1, 4, 3, 2], np.float32), channels).reshape(geometry.input_shape)
    gy = upload(device, np.full(geometry.output_shape, np.inf, np.float32))
    gradient = run_maximum_backward(device, geometry, gy, upload(device, x))
    np.testing.assert_array_equal(gradient.ravel(), np.repeat([0, np.inf, 0, 0], channels))


@each_dtype
def test_worked_example(device: Device, dtype: Any) -> None:
    x = np.array([[1, 1, 2, 5], [5, 7, 7, 8], [3, 1, 1, 0], [1, 2, 3, 4]], dtype).reshape(1, 4, 4, 1)
    held = upload(device, x)
    geometry = Pool2dGeometry(1, 4, 4, 1, 2, 2, Pair(2, 2))
    np.testing.assert_array_equal(run_maximum(device, geometry, held)[0][0, :, :, 0], [[7, 8], [3, 4]])
    np.testing.assert_array_equal(run_mean(device, geometry, held)[0, :, :, 0], [[3.5, 5.5], [1.75, 2]])
    np.testing.assert_array_equal(run_median(device, geometry, held)[0, :, :, 0], [[3, 6], [1.5, 2]])
    overlapping = Pool2dGeometry(1, 4, 4, 1, 2, 2)
    np.testing.assert_array_equal(
        run_maximum(device, overlapping, held)[0][0, :, :, 0], [[7, 7, 8], [7, 7, 8], [3, 3, 4]]
    )


@pytest.mark.parametrize("shape", GLOBAL_SHAPES)
@each_dtype
def test_global_mean(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    N, H, W, C = shape
    x = integers(14, shape, dtype)
    for held in (upload(device, x), upload_slice(device, x)):
        y = unwritten(device, (N, C), dtype)
        device.primitives.global_mean_pool2d_forward(device, y, held)
        expected = x.astype(np.float64).sum(axis=(1, 2)) / (H * W)
        np.testing.assert_array_equal(device.download(y), rounded(expected, dtype))


@each_dtype
def test_global_mean_of_real_numbers(device: Device, dtype: Any) -> None:
    x = reals(22, (2, 9, 7, 5), dtype)
    y = unwritten(device, (2, 5), dtype)
    device.primitives.global_mean_pool2d_forward(device, y, upload(device, x))
    exact = x.astype(np.float64)
    assert_rounded_sums(device.download(y), exact.mean(axis=(1, 2)), 9 * 7, np.abs(exact).mean(axis=(1, 2)))


def test_global_mean_of_large_images(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and threads."""
    monkeypatch.setattr(blocks, "WORTH_A_THREAD", 1)
    x = integers(14, (16, 24, 24, 48), np.float32)
    y, gx = unwritten(cpu, (16, 48), np.float32), unwritten(cpu, x.shape, np.float32)
    cpu.primitives.global_mean_pool2d_forward(cpu, y, upload(cpu, x))
    expected = (x.astype(np.float64).sum(axis=(1, 2)) / 24**2).astype(np.float32)
    np.testing.assert_array_equal(cpu.download(y), expected)
    cpu.primitives.global_mean_pool2d_backward(cpu, gx, y, False)
    np.testing.assert_array_equal(cpu.download(gx), np.broadcast_to((expected / 24**2)[:, None, None], x.shape))


@pytest.mark.parametrize("shape", GLOBAL_SHAPES)
@each_dtype
def test_global_mean_backward(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    N, H, W, C = shape
    gy, before = integers(15, (N, C), dtype), integers(16, shape, dtype)
    expected = np.broadcast_to((gy.astype(np.float64) / (H * W))[:, np.newaxis, np.newaxis], shape)
    for held in (upload(device, before), upload_slice(device, before, 8, 8), upload_slice(device, before)):
        device.primitives.global_mean_pool2d_backward(device, held, upload(device, gy), True)
        # The share and the sum are rounded.
        assert_rounded_sums(device.download(held), before + expected, 2, np.abs(before) + np.abs(expected))
        device.primitives.global_mean_pool2d_backward(device, held, upload(device, gy), False)
        np.testing.assert_array_equal(device.download(held), rounded(expected, dtype))


def test_global_mean_gradient_by_finite_differences(cpu: Device) -> None:
    rng = np.random.default_rng(17)
    x, gy = rng.standard_normal((3, 2, 4, 3)), rng.standard_normal((3, 3))

    def weighted(moved: Host) -> float:
        y = unwritten(cpu, (3, 3), np.float64)
        cpu.primitives.global_mean_pool2d_forward(cpu, y, upload(cpu, moved))
        return float((gy * cpu.download(y)).sum())

    gx = unwritten(cpu, x.shape, np.float64)
    cpu.primitives.global_mean_pool2d_backward(cpu, gx, upload(cpu, gy), False)
    np.testing.assert_allclose(cpu.download(gx), gradient(weighted, x), rtol=1e-6, atol=1e-9)
