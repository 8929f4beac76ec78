"""Fully connected layers against float64 loops and finite differences."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LINEAR, RELU, Activation, Arithmetic
from gpunn.backend.contract import Array, Device
from gpunn.geometry import LinearGeometry
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
from tests.backend.rounding import computing, rounding
from tests.cases.linear import LINEARS
from tests.reference import linear as reference

#: The check build is some 20 times slower: it runs the cases of fewer products.
CHECKED_PRODUCTS = 300_000

each_case = pytest.mark.parametrize(
    ("device", "N", "inputs", "outputs"),
    [
        (device, *case)
        for device in ("cpu", "emulator", "emulator:check")
        for case in LINEARS
        if device != "emulator:check" or prod(case) <= CHECKED_PRODUCTS
    ],
    indirect=["device"],
)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def run_forward(
    device: Device, x: Array, w: Host, bias: Host | None, function: Activation = LINEAR, y: Array | None = None
) -> Host:
    geometry, settings = LinearGeometry(x.shape[0], *w.shape), arithmetic(w.dtype)
    if y is None:
        y = unwritten(device, geometry.output_shape, w.dtype)
    held = None if bias is None else upload(device, bias)
    scratch = workspace(device, device.primitives.linear_forward_workspace(device, geometry, w.dtype, settings))
    device.primitives.linear_forward(
        device, y, x, upload(device, w, "plain"), held, geometry, function, settings, scratch
    )
    return device.download(y)


def run_backward_data(
    device: Device, gy: Array, w: Host, before: Host | None = None, saved: Host | None = None
) -> Host:
    geometry, settings = LinearGeometry(gy.shape[0], *w.shape), arithmetic(w.dtype)
    gx = unwritten(device, geometry.input_shape, w.dtype) if before is None else upload(device, before)
    device.primitives.linear_backward_data(
        device,
        gx,
        gy,
        upload(device, w, "plain"),
        None if saved is None else upload(device, saved),
        geometry,
        LINEAR if saved is None else RELU,
        before is not None,
        settings,
        workspace(device, device.primitives.linear_backward_data_workspace(device, geometry, w.dtype, settings)),
    )
    return device.download(gx)


def run_backward_weight(
    device: Device, x: Array, gy: Array, before: tuple[Host, Host] | None = None
) -> tuple[Host, Host]:
    geometry, settings = LinearGeometry(x.shape[0], x.shape[1], gy.shape[1]), arithmetic(x.dtype)
    if before is None:
        gw = unwritten(device, geometry.weight_shape, summed(x.dtype), "plain")
        gbias = unwritten(device, (geometry.outputs,), summed(x.dtype))
    else:
        gw, gbias = upload(device, before[0], "plain"), upload(device, before[1])
    scratch = workspace(device, device.primitives.linear_backward_weight_workspace(device, geometry, x.dtype, settings))
    device.primitives.linear_backward_weight(device, gw, gbias, x, gy, geometry, before is not None, settings, scratch)
    return device.download(gw), device.download(gbias)


def arithmetic(dtype: Any) -> Arithmetic:
    return Arithmetic(np.dtype(dtype).name)


@cache
def exact(N: int, inputs: int, outputs: int) -> dict[str, Host]:
    """Results for the same integers whatever the type, so that the loops run once a case."""
    x, w, gy = (integers(seed, shape, FLOAT32) for seed, shape in enumerate(shapes(N, inputs, outputs)))
    return {
        "y": reference.forward(x, w, None),
        "gx": reference.backward_data(gy, w),
        "gw": reference.backward_weight(x, gy),
        "gbias": gy.sum(0, dtype=np.float64),
    }


def shapes(N: int, inputs: int, outputs: int) -> tuple[tuple[int, int], ...]:
    return (N, inputs), (inputs, outputs), (N, outputs)


@each_case
@each_dtype
def test_forward_of_integers_is_exact(device: Device, N: int, inputs: int, outputs: int, dtype: Any) -> None:
    x, w, _ = (integers(seed, shape, dtype) for seed, shape in enumerate(shapes(N, inputs, outputs)))
    bias = integers(3, (outputs,), summed(dtype))
    y = exact(N, inputs, outputs)["y"]
    np.testing.assert_array_equal(run_forward(device, upload(device, x), w, None), y.astype(dtype))
    np.testing.assert_array_equal(run_forward(device, upload(device, x), w, bias), (y + bias).astype(dtype))


@each_case
@each_dtype
def test_backward_of_integers_is_exact(device: Device, N: int, inputs: int, outputs: int, dtype: Any) -> None:
    x, w, gy = (integers(seed, shape, dtype) for seed, shape in enumerate(shapes(N, inputs, outputs)))
    parameters = summed(dtype)
    gw_before, gbias_before = integers(4, w.shape, parameters), integers(5, (outputs,), parameters)
    held_x, held_gy = upload(device, x), upload(device, gy)
    gx, gw, gbias = (exact(N, inputs, outputs)[name] for name in ("gx", "gw", "gbias"))

    np.testing.assert_array_equal(run_backward_data(device, held_gy, w), gx.astype(dtype))
    added = run_backward_data(device, held_gy, w, before=x)
    np.testing.assert_array_equal(added, (gx + x.astype(np.float64)).astype(dtype))
    masked = run_backward_data(device, held_gy, w, saved=x)
    np.testing.assert_array_equal(masked, np.where(x > 0, gx, 0).astype(dtype))
    for result, expected in zip(run_backward_weight(device, held_x, held_gy), (gw, gbias), strict=True):
        np.testing.assert_array_equal(result, expected)
    both = run_backward_weight(device, held_x, held_gy, (gw_before, gbias_before))
    for result, expected in zip(both, (gw + gw_before, gbias + gbias_before), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("device", ["cpu", "emulator"], indirect=True)
@each_dtype
def test_a_large_gradient_is_accumulated_in_pieces(device: Device, dtype: Any) -> None:
    x, gy = integers(1, (3, 1300), dtype), integers(2, (3, 1700), dtype)
    before = integers(3, (1300, 1700), summed(dtype)), integers(4, (1700,), summed(dtype))
    result, _ = run_backward_weight(device, upload(device, x), upload(device, gy), before)
    np.testing.assert_array_equal(result, reference.backward_weight(x, gy) + before[0])


@pytest.mark.parametrize("device", ["cpu", "emulator"], indirect=True)
@each_dtype
@pytest.mark.parametrize("function", [RELU, Activation("tanh")], ids=lambda function: function.name)
def test_forward_ends_with_the_activation(device: Device, dtype: Any, function: Activation) -> None:
    x, w, bias = reals(1, (63, 301), dtype), reals(2, (301, 220), dtype), reals(3, (220,), summed(dtype))
    before = reference.forward(x, w, bias)
    expected = np.maximum(before, 0) if function is RELU else np.tanh(before)
    size = reference.forward(np.abs(x), np.abs(w), np.abs(bias))
    error = np.abs(run_forward(device, upload(device, x), w, bias, function).astype(np.float64) - expected)
    # Another f than ReLU is applied to what was rounded already.
    assert np.all(error <= 8 * computing(dtype) * (1 + size) + rounding(dtype) * (np.abs(expected) + np.abs(before)))


@pytest.mark.parametrize("device", ["cpu", "emulator"], indirect=True)
@each_dtype
def test_real_numbers_obey_the_rounding_bound(device: Device, dtype: Any) -> None:
    x, w, gy = reals(1, (64, 1000), dtype), reals(2, (1000, 90), dtype), reals(3, (64, 90), dtype)
    held_x, held_gy = upload(device, x), upload(device, gy)
    gw, gbias = run_backward_weight(device, held_x, held_gy)
    wide_gy = gy.astype(np.float64)
    results = [
        (run_forward(device, held_x, w, None), reference.forward(x, w, None), reference.forward(abs(x), abs(w), None)),
        (
            run_backward_data(device, held_gy, w),
            reference.backward_data(gy, w),
            reference.backward_data(abs(gy), abs(w)),
        ),
        (gw, reference.backward_weight(x, gy), reference.backward_weight(abs(x), abs(gy))),
        (gbias, wide_gy.sum(0), abs(wide_gy).sum(0)),
    ]
    for result, expected, size in results:
        error = np.abs(result.astype(np.float64) - expected)
        assert np.all(error <= 8 * computing(dtype) / 2 * size + rounding(result.dtype) * abs(expected))


@pytest.mark.parametrize("device", ["emulator", "emulator:check"], indirect=True)
@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=str)
def test_logits_may_be_wider_than_the_input(device: Device, dtype: Any) -> None:
    x, w, bias = integers(1, (9, 300), dtype), integers(2, (300, 10), dtype), integers(3, (10,), FLOAT32)
    y = upload_slice(device, np.full((9, 10), np.nan, np.float32))
    result = run_forward(device, upload(device, x), w, bias, y=y)
    np.testing.assert_array_equal(result, reference.forward(x, w, bias))


@each_dtype
def test_slices_of_wider_arrays(device: Device, dtype: Any) -> None:
    x, w, gy = integers(1, (9, 12), dtype), integers(2, (12, 8), dtype), integers(3, (9, 8), dtype)
    held_x, held_gy = upload_slice(device, x), upload_slice(device, gy)
    y = upload_slice(device, np.full((9, 8), np.nan, dtype))
    np.testing.assert_array_equal(run_forward(device, held_x, w, None, y=y), reference.forward(x, w, None))
    np.testing.assert_array_equal(run_backward_data(device, held_gy, w), reference.backward_data(gy, w))
    np.testing.assert_array_equal(run_backward_weight(device, held_x, held_gy)[0], reference.backward_weight(x, gy))


def test_gradients_match_finite_differences(cpu: Device) -> None:
    x, w, bias, gy = (reals(seed, shape, np.float64) for seed, shape in enumerate([(5, 7), (7, 6), (6,), (5, 6)]))

    def loss(x: Host, w: Host, bias: Host) -> float:
        return float(np.sum(gy * run_forward(cpu, upload(cpu, x), w, bias)))

    gw, gbias = run_backward_weight(cpu, upload(cpu, x), upload(cpu, gy))
    gradients = run_backward_data(cpu, upload(cpu, gy), w), gw, gbias
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


def test_gradients_that_overflow_pass_silently(cpu: Device) -> None:
    x, gy = (upload(cpu, np.full(shape, 3e38, np.float32)) for shape in ((4, 3), (4, 2)))
    with np.errstate(all="raise"):
        gw, gbias = run_backward_weight(cpu, x, gy)
    assert np.isposinf(gw).all()
    assert np.isposinf(gbias).all()
