"""Pooling against float64 loops, finite differences and the lecture's worked example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpunn.backend.contract import Array, Device
from gpunn.errors import UsageError
from gpunn.geometry import Padding, Pair, Pool2dGeometry
from tests.backend.arrays import Host, unwritten, upload, upload_slice, workspace
from tests.cases.pooling import POOLINGS
from tests.reference import pooling as reference
from tests.reference.finite_differences import gradient

each_case = pytest.mark.parametrize("geometry", POOLINGS.values(), ids=POOLINGS.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
#: Windows of hundreds of places are left out where every element is moved four times.
each_small_case = pytest.mark.parametrize(
    "geometry",
    [geometry for geometry in POOLINGS.values() if geometry.R * geometry.S < 100],
    ids=[name for name, geometry in POOLINGS.items() if geometry.R * geometry.S < 100],
)


def integers(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    """Small integers: many ties, and sums that every precision holds exactly."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


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
    np.testing.assert_array_equal(y, reference.mean(x, geometry).astype(dtype))


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
    bound = (geometry.R * geometry.S + 2) * np.finfo(dtype).eps
    magnitude = reference.mean_backward(np.abs(gy), geometry)
    overwritten = run_mean_backward(device, geometry, *held)
    assert (np.abs(overwritten - expected) <= bound * magnitude).all()
    accumulated = run_mean_backward(device, geometry, *held, before)
    assert (np.abs(accumulated - before - expected) <= bound * (magnitude + np.abs(before))).all()


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


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(geometry=geometries())
def test_drawn_shapes(device: Device, geometry: Pool2dGeometry) -> None:
    x, gy = integers(18, geometry.input_shape, np.float64), integers(19, geometry.output_shape, np.float64)
    held, gradients = upload(device, x), upload(device, gy)
    y, argmax = run_maximum(device, geometry, held)
    expected, expected_places = reference.maximum(x, geometry)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(device.download(argmax), expected_places)
    np.testing.assert_array_equal(run_mean(device, geometry, held), reference.mean(x, geometry))
    np.testing.assert_array_equal(run_median(device, geometry, held), reference.median(x, geometry))
    gx = run_maximum_backward(device, geometry, gradients, held)
    np.testing.assert_array_equal(gx, reference.maximum_backward(gy, x, geometry))
    gx = run_median_backward(device, geometry, gradients, held)
    np.testing.assert_array_equal(gx, reference.median_backward(gy, x, geometry))
    gx = run_mean_backward(device, geometry, gradients, held)
    np.testing.assert_allclose(gx, reference.mean_backward(gy, geometry), rtol=1e-12, atol=1e-12)


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
    device: Device, geometry: Pool2dGeometry, forward: Callable[..., Host], backward: Callable[..., Host]
) -> None:
    x = distinct(7, geometry.input_shape)
    gy = np.random.default_rng(8).standard_normal(geometry.output_shape)
    numeric = gradient(lambda moved: float((gy * forward(device, geometry, upload(device, moved))).sum()), x)
    analytic = backward(device, geometry, upload(device, gy), upload(device, x))
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-6 * np.abs(gy).max())


@each_dtype
def test_channel_slices(device: Device, dtype: Any) -> None:
    geometry = POOLINGS["3x3, stride 2, padded"]
    x, gy = integers(9, geometry.input_shape, dtype), integers(10, geometry.output_shape, dtype)
    held, gradients = upload_slice(device, x), upload_slice(device, gy)
    y, gx = (upload_slice(device, np.zeros(shape, dtype)) for shape in (geometry.output_shape, geometry.input_shape))
    argmax = unwritten(device, geometry.output_shape, np.uint8)
    device.primitives.maximum_pool2d_forward(device, y, argmax, held, geometry)
    np.testing.assert_array_equal(device.download(y), reference.maximum(x, geometry)[0])
    device.primitives.maximum_pool2d_backward(device, gx, gradients, argmax, geometry, False)
    np.testing.assert_array_equal(device.download(gx), reference.maximum_backward(gy, x, geometry))
    np.testing.assert_array_equal(run_mean(device, geometry, held), reference.mean(x, geometry).astype(dtype))
    np.testing.assert_array_equal(run_median(device, geometry, held), reference.median(x, geometry))
    median_gradient = run_median_backward(device, geometry, gradients, held)
    np.testing.assert_array_equal(median_gradient, reference.median_backward(gy, x, geometry))
    mean_gradient = run_mean_backward(device, geometry, gradients, held)
    np.testing.assert_allclose(mean_gradient, reference.mean_backward(gy, geometry), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("window", [2, 3])
def test_large_layers_equal_their_small_repetition(device: Device, window: int) -> None:
    """Blocks and threads: a large batch of many channels that repeats a small one."""
    small = Pool2dGeometry(2, 14, 15, 3, window, window, Pair(2, 2))
    large = Pool2dGeometry(32, 14, 15, 192, window, window, Pair(2, 2))
    repeats = (16, 1, 1, 64)
    x, gy = integers(11, small.input_shape, np.float32), integers(12, small.output_shape, np.float32)
    held, gradients = upload(device, np.tile(x, repeats)), upload(device, np.tile(gy, repeats))
    y, argmax = run_maximum(device, large, held)
    expected, expected_places = reference.maximum(x, small)
    np.testing.assert_array_equal(y, np.tile(expected, repeats))
    np.testing.assert_array_equal(device.download(argmax), np.tile(expected_places, repeats))
    for run, expected_gradient in (
        (run_maximum_backward, reference.maximum_backward(gy, x, small)),
        (run_median_backward, reference.median_backward(gy, x, small)),
        (run_mean_backward, reference.mean_backward(gy, small)),
    ):
        np.testing.assert_allclose(
            run(device, large, gradients, held), np.tile(expected_gradient, repeats), rtol=1e-6, atol=1e-6
        )
    np.testing.assert_array_equal(run_mean(device, large, held), np.tile(reference.mean(x, small), repeats).astype("f"))
    np.testing.assert_array_equal(run_median(device, large, held), np.tile(reference.median(x, small), repeats))


def test_maximum_without_places(device: Device) -> None:
    geometry = POOLINGS["3x3, stride 2"]
    x = integers(13, geometry.input_shape, np.float32)
    y = unwritten(device, geometry.output_shape, np.float32)
    device.primitives.maximum_pool2d_forward(device, y, None, upload(device, x), geometry)
    np.testing.assert_array_equal(device.download(y), reference.maximum(x, geometry)[0])


def test_nan_and_infinity_pass_through(device: Device) -> None:
    geometry = Pool2dGeometry(1, 2, 8, 1, 2, 2, Pair(2, 2))
    x = np.array([[1, 2, np.nan, 4, np.inf, 6, -np.inf, -np.inf], [3, 0, 5, 6, 7, 8, -np.inf, -np.inf]])
    held = upload(device, x.reshape(geometry.input_shape))
    maximum, argmax = run_maximum(device, geometry, held)
    np.testing.assert_array_equal(maximum.ravel(), [3, np.nan, np.inf, -np.inf])
    assert (device.download(argmax) < 4).all()
    np.testing.assert_array_equal(run_mean(device, geometry, held).ravel(), [1.5, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(run_median(device, geometry, held).ravel(), [1.5, np.nan, 7.5, -np.inf])


@pytest.mark.parametrize("place", range(9))
def test_median_of_a_window_with_nan_is_nan(device: Device, place: int) -> None:
    geometry = Pool2dGeometry(1, 3, 3, 1, 3, 3)
    x = np.arange(9.0)
    x[place] = np.nan
    assert np.isnan(run_median(device, geometry, upload(device, x.reshape(geometry.input_shape)))).all()


def test_places_above_255(device: Device) -> None:
    """The last of 289 places holds the maximum, or the median."""
    geometry = Pool2dGeometry(1, 17, 17, 1, 17, 17)
    gy, expected = np.ones((1, 1, 1, 1)), np.eye(1, 289, 288).reshape(geometry.input_shape)
    for run, values in (
        (run_maximum_backward, np.arange(289.0)),
        (run_median_backward, np.repeat([0.0, 2.0, 1.0], [144, 144, 1])),
    ):
        x = upload(device, values.reshape(geometry.input_shape))
        np.testing.assert_array_equal(run(device, geometry, upload(device, gy), x), expected)


def test_an_infinite_gradient_reaches_only_the_place_that_won(device: Device) -> None:
    geometry = Pool2dGeometry(1, 2, 2, 1, 2, 2)
    x = np.array([1.0, 4.0, 3.0, 2.0]).reshape(geometry.input_shape)
    gradient = run_maximum_backward(device, geometry, upload(device, np.full((1, 1, 1, 1), np.inf)), upload(device, x))
    np.testing.assert_array_equal(gradient.ravel(), [0, np.inf, 0, 0])


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


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 1, 1, 1), (5, 1, 1, 3), (16, 24, 24, 48)])
@each_dtype
def test_global_mean(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    N, H, W, C = shape
    x = integers(14, shape, dtype)
    for held in (upload(device, x), upload_slice(device, x)):
        y = unwritten(device, (N, C), dtype)
        device.primitives.global_mean_pool2d_forward(device, y, held)
        expected = x.astype(np.float64).sum(axis=(1, 2)) / (H * W)
        np.testing.assert_array_equal(device.download(y), expected.astype(dtype))


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 1, 1, 1), (5, 1, 1, 3), (16, 24, 24, 48)])
@each_dtype
def test_global_mean_backward(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    N, H, W, C = shape
    gy, before = integers(15, (N, C), dtype), integers(16, shape, dtype)
    expected = np.broadcast_to((gy.astype(np.float64) / (H * W))[:, np.newaxis, np.newaxis], shape)
    gx, accumulated = unwritten(device, shape, dtype), upload(device, before)
    device.primitives.global_mean_pool2d_backward(device, gx, upload(device, gy), False)
    np.testing.assert_array_equal(device.download(gx), expected.astype(dtype))
    device.primitives.global_mean_pool2d_backward(device, accumulated, upload(device, gy), True)
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(device.download(accumulated), before + expected, rtol=rtol, atol=5 * rtol)


def test_global_mean_gradient_by_finite_differences(device: Device) -> None:
    rng = np.random.default_rng(17)
    x, gy = rng.standard_normal((3, 2, 4, 3)), rng.standard_normal((3, 3))

    def weighted(moved: Host) -> float:
        y = unwritten(device, (3, 3), np.float64)
        device.primitives.global_mean_pool2d_forward(device, y, upload(device, moved))
        return float((gy * device.download(y)).sum())

    gx = unwritten(device, x.shape, np.float64)
    device.primitives.global_mean_pool2d_backward(device, gx, upload(device, gy), False)
    np.testing.assert_allclose(device.download(gx), gradient(weighted, x), rtol=1e-6, atol=1e-9)
