"""Fully connected layers against float64 loops and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, RELU, Activation
from gpunn.backend.contract import Array, Device
from tests.backend.arrays import Host, integers, reals, unwritten, upload, upload_slice
from tests.cases.linear import LINEARS
from tests.reference import linear as reference

each_case = pytest.mark.parametrize(("N", "inputs", "outputs"), LINEARS)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def run_forward(device: Device, x: Array, w: Host, bias: Host | None, function: Activation = LINEAR) -> Host:
    y = unwritten(device, (x.shape[0], w.shape[1]), w.dtype)
    held = None if bias is None else upload(device, bias)
    device.primitives.linear_forward(device, y, x, upload(device, w, "plain"), held, function)
    return device.download(y)


def run_backward_data(device: Device, gy: Array, w: Host, before: Host | None = None) -> Host:
    gx = unwritten(device, (gy.shape[0], len(w)), w.dtype) if before is None else upload(device, before)
    device.primitives.linear_backward_data(device, gx, gy, upload(device, w, "plain"), before is not None)
    return device.download(gx)


def run_backward_weight(
    device: Device, x: Array, gy: Array, before: tuple[Host, Host] | None = None
) -> tuple[Host, Host]:
    if before is None:
        gw = unwritten(device, (x.shape[1], gy.shape[1]), x.dtype, "plain")
        gbias = unwritten(device, (gy.shape[1],), x.dtype)
    else:
        gw, gbias = upload(device, before[0], "plain"), upload(device, before[1])
    device.primitives.linear_backward_weight(device, gw, gbias, x, gy, before is not None)
    return device.download(gw), device.download(gbias)


@each_case
@each_dtype
def test_forward_of_integers_is_exact(device: Device, N: int, inputs: int, outputs: int, dtype: Any) -> None:
    x, w, bias = integers(1, (N, inputs), dtype), integers(2, (inputs, outputs), dtype), integers(3, (outputs,), dtype)
    np.testing.assert_array_equal(run_forward(device, upload(device, x), w, bias), reference.forward(x, w, bias))
    np.testing.assert_array_equal(run_forward(device, upload(device, x), w, None), reference.forward(x, w, None))


@each_case
@each_dtype
def test_backward_of_integers_is_exact(device: Device, N: int, inputs: int, outputs: int, dtype: Any) -> None:
    x, w, gy = integers(1, (N, inputs), dtype), integers(2, (inputs, outputs), dtype), integers(3, (N, outputs), dtype)
    gx_before, gw_before, gbias_before = x + 1, w + 2, gy[0] + 3
    held_x, held_gy = upload(device, x), upload(device, gy)
    gx, gw = reference.backward_data(gy, w), reference.backward_weight(x, gy)
    gbias = gy.sum(0, dtype=np.float64)

    np.testing.assert_array_equal(run_backward_data(device, held_gy, w), gx)
    np.testing.assert_array_equal(run_backward_data(device, held_gy, w, gx_before), gx + gx_before)
    for result, expected in zip(run_backward_weight(device, held_x, held_gy), (gw, gbias), strict=True):
        np.testing.assert_array_equal(result, expected)
    added = run_backward_weight(device, held_x, held_gy, (gw_before, gbias_before))
    for result, expected in zip(added, (gw + gw_before, gbias + gbias_before), strict=True):
        np.testing.assert_array_equal(result, expected)


@each_dtype
def test_a_large_gradient_is_accumulated_in_pieces(device: Device, dtype: Any) -> None:
    x, gy = integers(1, (3, 1300), dtype), integers(2, (3, 1700), dtype)
    before = integers(3, (1300, 1700), dtype), integers(4, (1700,), dtype)
    result, _ = run_backward_weight(device, upload(device, x), upload(device, gy), before)
    np.testing.assert_array_equal(result, reference.backward_weight(x, gy) + before[0])


@each_dtype
@pytest.mark.parametrize("function", [RELU, Activation("tanh")], ids=lambda function: function.name)
def test_forward_ends_with_the_activation(device: Device, dtype: Any, function: Activation) -> None:
    x, w, bias = reals(1, (63, 301), dtype), reals(2, (301, 220), dtype), reals(3, (220,), dtype)
    before = reference.forward(x, w, bias)
    expected = np.maximum(before, 0) if function is RELU else np.tanh(before)
    size = reference.forward(np.abs(x), np.abs(w), np.abs(bias))
    error = np.abs(run_forward(device, upload(device, x), w, bias, function) - expected)
    assert np.all(error <= 8 * np.finfo(dtype).eps * (1 + size))


@each_dtype
def test_real_numbers_obey_the_rounding_bound(device: Device, dtype: Any) -> None:
    x, w, gy = reals(1, (64, 1000), dtype), reals(2, (1000, 90), dtype), reals(3, (64, 90), dtype)
    unit = np.finfo(dtype).eps / 2
    held_x, held_gy = upload(device, x), upload(device, gy)
    gw, gbias = run_backward_weight(device, held_x, held_gy)
    results = [
        (run_forward(device, held_x, w, None), reference.forward(x, w, None), reference.forward(abs(x), abs(w), None)),
        (
            run_backward_data(device, held_gy, w),
            reference.backward_data(gy, w),
            reference.backward_data(abs(gy), abs(w)),
        ),
        (gw, reference.backward_weight(x, gy), reference.backward_weight(abs(x), abs(gy))),
        (gbias, gy.sum(0, dtype=np.float64), abs(gy).sum(0, dtype=np.float64)),
    ]
    for result, expected, size in results:
        assert np.all(np.abs(result - expected) <= 8 * unit * size)


@each_dtype
def test_slices_of_wider_arrays(device: Device, dtype: Any) -> None:
    x, w, gy = integers(1, (9, 12), dtype), integers(2, (12, 8), dtype), integers(3, (9, 8), dtype)
    held_x, held_gy = upload_slice(device, x), upload_slice(device, gy)
    y = upload_slice(device, np.full((9, 8), np.nan, dtype))
    device.primitives.linear_forward(device, y, held_x, upload(device, w, "plain"), None, LINEAR)
    np.testing.assert_array_equal(device.download(y), reference.forward(x, w, None))
    np.testing.assert_array_equal(run_backward_data(device, held_gy, w), reference.backward_data(gy, w))
    np.testing.assert_array_equal(run_backward_weight(device, held_x, held_gy)[0], reference.backward_weight(x, gy))


def test_gradients_match_finite_differences(device: Device) -> None:
    x, w, bias, gy = (reals(seed, shape, np.float64) for seed, shape in enumerate([(5, 7), (7, 6), (6,), (5, 6)]))

    def loss(x: Host, w: Host, bias: Host) -> float:
        return float(np.sum(gy * run_forward(device, upload(device, x), w, bias)))

    gw, gbias = run_backward_weight(device, upload(device, x), upload(device, gy))
    gradients = run_backward_data(device, upload(device, gy), w), gw, gbias
    for place, gradient in enumerate(gradients):
        direction = reals(10 + place, gradient.shape, np.float64)
        ends = []
        for step in (1e-3, -1e-3):
            moved = [x, w, bias]
            moved[place] = moved[place] + step * direction
            ends.append(loss(*moved))
        assert np.sum(gradient * direction) == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-6)


def test_nan_and_infinity_pass(device: Device) -> None:
    x, w = np.ones((2, 3), np.float32), np.ones((3, 2), np.float32)
    x[0, 1], w[2, 1] = np.nan, np.inf
    x[1, 2] = 0
    result = run_forward(device, upload(device, x), w, None)
    np.testing.assert_array_equal(result, [[np.nan, np.nan], [2, np.nan]])
