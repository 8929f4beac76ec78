"""Activations against formulas of one number, and their gradients against differences."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn.backend.attributes import RELU, Activation
from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from tests.backend.arrays import FLOAT16, FLOAT32, FLOAT64, FLOATS, Host, integers, unwritten, upload, upload_slice
from tests.backend.emulator.devices import FAST, emulator
from tests.backend.rounding import computing, rounding, smallest_step
from tests.cases.activation import ACTIVATIONS, SHAPES, WHOLE
from tests.reference import activation as reference

WITH_KINK = ("step", "relu", "leaky_relu", "generalized_relu", "elu")
#: Functions of one file each on CUDA: what walks over arrays is the same for all others.
WALKS = (RELU, Activation("tanh"))
FLOAT32_TO_16 = tuple(dtype for dtype in FLOATS if dtype != FLOAT64)


def some_numbers(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Host:
    """Numbers of about 3, none nearer than 0.01 to the kinks at 0."""
    x = np.random.default_rng(seed).normal(0, 3, shape)
    return np.where(np.abs(x) < 0.01, 0.01, x).astype(dtype)


def elementwise(function: Any, x: Host) -> Host:
    return np.array([function(float(value)) for value in x.ravel()], np.float64).reshape(x.shape)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_forward_is_the_formula(device: Device, function: Activation, dtype: Any) -> None:
    x = some_numbers((5, 3, 4, 3), dtype)
    expected = elementwise(lambda value: reference.activation(function, value), x)
    y = unwritten(device, x.shape, dtype)
    device.primitives.activation_forward(device, y, upload(device, x), function)
    found = device.download(y)
    assert found.dtype == dtype
    relative, absolute = rounding(dtype) + 8 * computing(dtype), 4 * computing(dtype) + smallest_step(dtype)
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=relative, atol=absolute)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("function", [f for f in ACTIVATIONS if f.name in WHOLE and f.a == int(f.a)], ids=str)
@pytest.mark.parametrize("shape", [(3, 2, 3, 16), (5, 7)], ids=str)
def test_small_integers_are_exact(device: Device, function: Activation, shape: tuple[int, ...], dtype: Any) -> None:
    x, gradient, before = (integers(seed, shape, dtype) for seed in range(3))
    y = upload(device, x)
    device.primitives.activation_forward(device, y, y, function)
    value = elementwise(lambda value: reference.activation(function, value), x)
    assert np.array_equal(device.download(y), value)
    # Whole numbers, and their halves, have slopes that are whole: at 0 the one from the left.
    slope = elementwise(
        lambda value: reference.activation(function, value) - reference.activation(function, value - 0.5), x
    )
    expected = 2 * gradient * slope + before
    gx = upload(device, before)
    saved = upload(device, x) if function.backward_reads == "x" else y
    device.primitives.activation_backward(device, gx, upload(device, gradient), saved, function, True)
    assert np.array_equal(device.download(gx), expected)


@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32], ids=str)
@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_in_place_and_in_a_slice_gives_the_same(device: Device, function: Activation, dtype: Any) -> None:
    same_everywhere(device, function, (5, 3, 4, 3), dtype, (3, 2))


@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32, FLOAT16], ids=str)
@pytest.mark.parametrize("shape", SHAPES[:-1], ids=str)
@pytest.mark.parametrize("function", WALKS, ids=str)
def test_every_shape_and_place_in_memory_gives_the_same(
    device: Device, function: Activation, shape: tuple[int, ...], dtype: Any
) -> None:
    same_everywhere(device, function, shape, dtype, (3, 2))


@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_an_array_that_is_cut_into_pieces(cpu: Device, function: Activation) -> None:
    same_everywhere(cpu, function, SHAPES[-1], FLOAT32, (3, 2))


@pytest.mark.parametrize("dtype", FLOAT32_TO_16, ids=str)
@pytest.mark.parametrize("sides", [(8, 8), (8, 4), (4, 8), (2, 2)], ids=str)
def test_slices_that_begin_and_lie_at_multiples_of_a_vector(device: Device, sides: tuple[int, int], dtype: Any) -> None:
    same_everywhere(device, RELU, (2, 3, 2, 16), dtype, sides)


def same_everywhere(
    device: Device, function: Activation, shape: tuple[int, ...], dtype: Any, sides: tuple[int, int]
) -> None:
    """In place, from slices and into slices, the results are those of arrays without gaps."""
    x, gradient, before = (some_numbers(shape, dtype, seed) for seed in range(3))
    primitives = device.primitives
    plain = upload(device, x)
    primitives.activation_forward(device, plain, plain, function)
    sliced = upload_slice(device, np.zeros(shape, dtype), *sides)
    primitives.activation_forward(device, sliced, upload(device, x), function)
    assert np.array_equal(device.download(plain), device.download(sliced))

    saved = x if function.backward_reads == "x" else device.download(plain)
    in_place = upload(device, gradient)
    primitives.activation_backward(device, in_place, in_place, upload_slice(device, saved, *sides), function, False)
    added = upload(device, before)
    gy = upload_slice(device, gradient, *sides)
    primitives.activation_backward(device, added, gy, upload(device, saved), function, True)
    # Both the gradient alone and the sum are rounded.
    alone = device.download(in_place).astype(np.float64)
    bound = (computing(dtype) + rounding(dtype)) * (np.abs(alone) + np.abs(before)) + smallest_step(dtype)
    assert (np.abs(device.download(added) - (before + alone)) <= bound).all()


def test_more_elements_than_the_grid_has_threads() -> None:
    x = np.random.default_rng(4).standard_normal(4096 * 256 + 301).astype(np.float32)
    with emulator(FAST) as device:
        y = unwritten(device, x.shape, np.float32)
        device.primitives.activation_forward(device, y, upload(device, x), RELU)
        np.testing.assert_array_equal(device.download(y), np.where(x > 0, x, 0))


@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32], ids=str)
@pytest.mark.parametrize("shape", [(4095,), (4096,), (9001,), (3, 4097), (2, 3, 2, 5000)], ids=str)
@pytest.mark.parametrize("sides", [(0, 0), (1, 2)], ids=["dense", "slice"])
def test_relu_of_rows_of_any_length(cpu: Device, shape: tuple[int, ...], sides: tuple[int, int], dtype: Any) -> None:
    x = some_numbers(shape, dtype)
    x.flat[::1000] = np.nan
    wide = np.zeros((*shape[:-1], shape[-1] + sum(sides)), dtype)
    inside = wide[..., sides[0] : sides[0] + shape[-1]]
    inside[...] = x
    cpu.primitives.activation_forward(cpu, inside, inside, RELU)
    np.testing.assert_array_equal(inside, elementwise(lambda value: value if not value <= 0 else 0, x))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("function", ACTIVATIONS, ids=str)
def test_backward_is_the_derivative(device: Device, function: Activation, dtype: Any) -> None:
    x, gradient = some_numbers((7, 50), dtype), some_numbers((7, 50), dtype, 1)
    gradient64 = gradient.astype(np.float64)
    expected = gradient64 * elementwise(lambda value: reference.slope(function, value), x)
    # No derivative moves by more than twice what the saved y moves, and none is above 2: y and the result are rounded.
    # The reference is a difference, good to 1e-8.
    bound = np.abs(gradient64) * (4 * rounding(dtype) + 8 * computing(dtype) + 1e-8)
    found = backward(device, function, x, gradient)
    assert found.dtype == dtype
    assert (np.abs(found.astype(np.float64) - expected) <= bound).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("function", [f for f in ACTIVATIONS if f.name in WITH_KINK], ids=str)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_derivative_at_a_kink_is_the_one_from_the_left(
    device: Device, function: Activation, zero: float, dtype: Any
) -> None:
    expected = 3 * reference.slope_from_the_left(function, 0.0)
    found = backward(device, function, np.full((1, 5), zero, dtype), np.full((1, 5), 3, dtype))
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=1e-6 + rounding(dtype), atol=1e-9)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_relu_stops_the_gradient_at_a_saved_negative_zero(device: Device, dtype: Any) -> None:
    smallest = ml_dtypes.finfo(dtype).smallest_subnormal
    y, gradient = np.array([[0.0, -0.0, smallest, 2.0]], dtype), np.array([[np.inf, 1, 5, -7]], dtype)
    gx = unwritten(device, y.shape, dtype)
    device.primitives.activation_backward(device, gx, upload(device, gradient), upload(device, y), RELU, False)
    assert device.download(gx).tolist() == [[0, 0, 5, -7]]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
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
    device: Device, function: Activation, at_minus_1000: float, at_1000: float, slopes: tuple[float, float], dtype: Any
) -> None:
    x = np.array([[-1000, 1000]], dtype)
    y = unwritten(device, x.shape, dtype)
    device.primitives.activation_forward(device, y, upload(device, x), function)
    assert device.download(y).tolist() == [[at_minus_1000, at_1000]]
    assert backward(device, function, x, np.ones_like(x)).tolist() == [list(slopes)]


@pytest.mark.parametrize("function", [Activation("tanh"), Activation("elu", 1.0), Activation("elu", -0.5)], ids=str)
def test_near_zero_no_digit_is_lost(device: Device, function: Activation) -> None:
    """exp(x) - 1 and a quotient of exponentials would be off by a hundredth here."""
    x = np.array([[-1e-5, -3e-6, -1e-7, -1e-10]], np.float32)
    y = unwritten(device, x.shape, np.float32)
    device.primitives.activation_forward(device, y, upload(device, x), function)
    a = 1.0 if function.name == "tanh" else function.a
    np.testing.assert_allclose(device.download(y), a * x.astype(np.float64), rtol=6e-6)


def test_softplus_passes_the_small_gradients_of_negative_numbers(device: Device) -> None:
    """f' is exp(x) far to the left, where 1 - exp(-y) would have no digit left."""
    x = np.array([[-10, -15, -20, -30]], np.float32)
    found = backward(device, Activation("softplus"), x, np.ones_like(x))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-x.astype(np.float64))), rtol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("function", [f for f in ACTIVATIONS if f.name != "step"], ids=str)
def test_nan_stays_nan(device: Device, function: Activation, dtype: Any) -> None:
    y = unwritten(device, (1, 3), dtype)
    device.primitives.activation_forward(device, y, upload(device, np.full((1, 3), np.nan, dtype)), function)
    assert np.isnan(device.download(y)).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_values_that_have_no_limit(device: Device, dtype: Any) -> None:
    def value(function: Activation, x: float) -> float:
        y = upload(device, np.array([[x]], dtype))
        device.primitives.activation_forward(device, y, y, function)
        return float(device.download(y)[0, 0])

    assert value(Activation("step"), np.nan) == 0
    assert value(RELU, np.inf) == np.inf
    assert value(RELU, -np.inf) == 0
    assert np.isnan(value(Activation("swish"), -np.inf))
    assert value(Activation("generalized_relu", 0.5), np.inf) == np.inf
    assert value(Activation("elu", 2.0), -np.inf) == -2


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_step_function_passes_no_gradient_not_even_an_infinite_one(device: Device, dtype: Any) -> None:
    x, gradient = np.array([[-1, 0, 2]], dtype), np.array([[np.inf, np.nan, -np.inf]], dtype)
    assert backward(device, Activation("step"), x, gradient).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("function", [RELU, Activation("leaky_relu", 0.5), Activation("elu", -0.5)], ids=str)
def test_where_nan_was_saved_the_derivative_is_that_of_the_left(
    device: Device, function: Activation, dtype: Any
) -> None:
    found = backward(device, function, np.full((1, 2), np.nan, dtype), np.ones((1, 2), dtype))
    expected = {"relu": 0, "leaky_relu": 0.5, "elu": np.nan}[function.name]
    np.testing.assert_array_equal(found.astype(np.float64), np.full((1, 2), expected))


def test_shapes_that_differ_are_refused() -> None:
    with emulator(FAST) as device:
        x = upload(device, np.zeros(3, np.float32))
        with pytest.raises(UsageError, match=r"one shape, got y \(3,\), x \(2,\)"):
            device.primitives.activation_forward(device, x, x[:2], RELU)
        with pytest.raises(UsageError, match=r"one shape, got gx \(3,\), gy \(3,\), saved \(2,\)"):
            device.primitives.activation_backward(device, x, x, x[:2], Activation("tanh"), False)


def backward(device: Device, function: Activation, x: Host, gradient: Host) -> Host:
    saved = upload(device, x)
    if function.backward_reads == "y":
        device.primitives.activation_forward(device, saved, saved, function)
    gx = unwritten(device, x.shape, x.dtype)
    device.primitives.activation_backward(device, gx, upload(device, gradient), saved, function, False)
    return device.download(gx)
