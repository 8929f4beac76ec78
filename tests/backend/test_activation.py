"""Activations against formulas of one number, and their gradients against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import Activation
from gpunn.backend.contract import Device
from tests.backend.arrays import Host, unwritten, upload, upload_slice
from tests.cases.activation import ACTIVATIONS, SHAPES
from tests.reference import activation as reference

WITH_KINK = ("step", "relu", "leaky_relu", "generalized_relu", "elu")


def some_numbers(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Host:
    """Numbers of about 3, none nearer than 0.01 to the kinks at 0."""
    x = np.random.default_rng(seed).normal(0, 3, shape)
    return np.where(np.abs(x) < 0.01, 0.01, x).astype(dtype)


def elementwise(function: Any, x: Host) -> Host:
    return np.array([function(float(value)) for value in x.ravel()], np.float64).reshape(x.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_forward_is_the_formula(device: Device, function: Activation, dtype: Any) -> None:
    x = some_numbers((5, 3, 4, 3), dtype)
    expected = elementwise(lambda value: reference.activation(function, value), x)
    y = unwritten(device, x.shape, dtype)
    device.primitives.activation_forward(device, y, upload(device, x), function)
    unit = np.finfo(dtype).eps
    assert device.download(y).dtype == dtype
    np.testing.assert_allclose(device.download(y), expected, rtol=8 * unit, atol=4 * unit)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_every_shape_and_place_in_memory_gives_the_same(
    device: Device, function: Activation, shape: tuple[int, ...]
) -> None:
    x, gradient, before = (some_numbers(shape, np.float64, seed) for seed in range(3))
    primitives = device.primitives
    plain = upload(device, x)
    primitives.activation_forward(device, plain, plain, function)
    sliced = upload_slice(device, np.zeros(shape))
    primitives.activation_forward(device, sliced, upload(device, x), function)
    assert np.array_equal(device.download(plain), device.download(sliced))

    saved = x if function.backward_reads == "x" else device.download(plain)
    in_place = upload(device, gradient)
    primitives.activation_backward(device, in_place, in_place, upload_slice(device, saved), function, False)
    added = upload(device, before)
    primitives.activation_backward(device, added, upload_slice(device, gradient), upload(device, saved), function, True)
    np.testing.assert_allclose(device.download(added), before + device.download(in_place), rtol=1e-15)


@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_backward_is_the_derivative(device: Device, function: Activation) -> None:
    x, gradient = some_numbers((7, 50), np.float64), some_numbers((7, 50), np.float64, 1)
    expected = gradient * elementwise(lambda value: reference.slope(function, value), x)
    np.testing.assert_allclose(backward(device, function, x, gradient), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_float32_backward_is_near_float64(device: Device, function: Activation) -> None:
    x, gradient = some_numbers((7, 50), np.float32), some_numbers((7, 50), np.float32, 1)
    exact = backward(device, function, x.astype(np.float64), gradient.astype(np.float64))
    found = backward(device, function, x, gradient)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", [f for f in ACTIVATIONS if f.name in WITH_KINK], ids=str)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_derivative_at_a_kink_is_the_one_from_the_left(device: Device, function: Activation, zero: float) -> None:
    expected = 3 * reference.slope_from_the_left(function, 0.0)
    for dtype in (np.float32, np.float64):
        found = backward(device, function, np.full((1, 5), zero, dtype), np.full((1, 5), 3, dtype))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_relu_stops_the_gradient_at_a_saved_negative_zero(device: Device) -> None:
    for dtype in (np.float32, np.float64):
        y, gradient = np.array([[0.0, -0.0, 1e-40, 2.0]], dtype), np.array([[np.inf, 1, 5, -7]], dtype)
        gx = unwritten(device, y.shape, dtype)
        device.primitives.activation_backward(
            device, gx, upload(device, gradient), upload(device, y), Activation("relu"), False
        )
        assert device.download(gx).tolist() == [[0, 0, 5, -7]]


@pytest.mark.parametrize(
    ("function", "at_minus_1000", "at_1000", "slopes"),
    [
        (Activation("sigmoid"), 0, 1, (0, 0)),
        (Activation("tanh"), -1, 1, (0, 0)),
        (Activation("softplus"), 0, 1000, (0, 1)),
        (Activation("swish"), 0, 1000, (0, 1)),
        (Activation("elu", 1.0), -1, 1000, (0, 1)),
        (Activation("elu", -1.0), 1, 1000, (0, 1)),
    ],
    ids=str,
)
def test_far_from_zero_nothing_overflows(
    device: Device, function: Activation, at_minus_1000: float, at_1000: float, slopes: tuple[float, float]
) -> None:
    for dtype in (np.float32, np.float64):
        x = np.array([[-1000, 1000]], dtype)
        y = unwritten(device, x.shape, dtype)
        device.primitives.activation_forward(device, y, upload(device, x), function)
        assert device.download(y).tolist() == [[at_minus_1000, at_1000]]
        assert backward(device, function, x, np.ones_like(x)).tolist() == [list(slopes)]


@pytest.mark.parametrize("function", [f for f in ACTIVATIONS if f.name != "step"], ids=str)
def test_nan_stays_nan(device: Device, function: Activation) -> None:
    y = unwritten(device, (1, 3), np.float32)
    device.primitives.activation_forward(device, y, upload(device, np.full((1, 3), np.nan, np.float32)), function)
    assert np.isnan(device.download(y)).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_parametric_relu(device: Device, shape: tuple[int, ...]) -> None:
    x, gradient, before = (some_numbers(shape, np.float64, seed) for seed in range(3))
    slope = some_numbers(shape[-1:], np.float64, 3)
    y = upload_slice(device, np.zeros(shape))
    device.primitives.parametric_relu_forward(device, y, upload(device, x), upload(device, slope, "plain"))
    assert np.array_equal(device.download(y), np.where(x > 0, x, slope * x))

    expected = np.where(x > 0, gradient, slope * gradient)
    expected_slope = np.where(x > 0, 0, x * gradient).reshape(-1, shape[-1]).sum(axis=0)
    for accumulate in (False, True):
        gx = upload(device, before) if accumulate else unwritten(device, shape, np.float64)
        gslope = upload(device, np.full(shape[-1], 0.5), "plain")
        device.primitives.parametric_relu_backward(
            device,
            gx,
            gslope,
            upload_slice(device, gradient),
            upload(device, x),
            upload(device, slope, "plain"),
            accumulate,
            accumulate,
        )
        np.testing.assert_allclose(device.download(gx), expected + accumulate * before, rtol=1e-15)
        np.testing.assert_allclose(
            device.download(gslope), expected_slope + accumulate * 0.5, rtol=1e-12, atol=1e-12 * x.size
        )


def test_parametric_relu_without_input_gradient(device: Device) -> None:
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


def backward(device: Device, function: Activation, x: Host, gradient: Host) -> Host:
    saved = upload(device, x)
    if function.backward_reads == "y":
        device.primitives.activation_forward(device, saved, saved, function)
    gx = unwritten(device, x.shape, x.dtype)
    device.primitives.activation_backward(device, gx, upload(device, gradient), saved, function, False)
    return device.download(gx)
