"""Local response normalisation against float64 loops and finite differences."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn.backend.attributes import LocalResponse
from gpunn.backend.contract import Array, Device
from tests.backend.arrays import FLOAT64, FLOATS, Host, unwritten, upload, upload_slice
from tests.cases.local_response_norm import LOCAL_RESPONSES
from tests.reference import local_response_norm as reference
from tests.reference.finite_differences import gradient

each_case = pytest.mark.parametrize(("shape", "settings"), LOCAL_RESPONSES.values(), ids=LOCAL_RESPONSES.keys())
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def reals(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    return (3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def wide(array: Host) -> Host:
    return array.astype(np.float64)


def precision(dtype: Any) -> float:
    """The distance from 1 to the next number of the type that is computed in."""
    return float(np.finfo(np.float64 if dtype == FLOAT64 else np.float32).eps)


def stored_rounding(dtype: Any) -> float:
    """How far rounding a result to the type may move it, relative to itself."""
    return float(ml_dtypes.finfo(dtype).eps) / 2


def put_wide_slice(device: Device, host: Host) -> Array:
    """A slice of channels whose place and pitch are multiples of 16 bytes where the channels are."""
    return upload_slice(device, host, 8, 8)


each_place = pytest.mark.parametrize("put", [upload, upload_slice, put_wide_slice])


def run_forward(device: Device, x: Array, settings: LocalResponse) -> tuple[Array, Array]:
    y, denominator = unwritten(device, x.shape, x.dtype), unwritten(device, x.shape, x.dtype)
    device.primitives.local_response_norm_forward(device, y, denominator, x, settings)
    return y, denominator


def run_backward(device: Device, gy: Array, x: Array, settings: LocalResponse, before: Host | None = None) -> Host:
    y, denominator = run_forward(device, x, settings)
    gx = unwritten(device, x.shape, x.dtype) if before is None else upload(device, before)
    device.primitives.local_response_norm_backward(device, gx, gy, x, y, denominator, settings, before is not None)
    return device.download(gx)


def allowed_gradient_error(gy: Host, x: Host, settings: LocalResponse) -> Host:
    """What a relative error of one in y, in the denominator and in each of their quotients would cost, elementwise."""
    d = reference.denominator(x, settings)
    share = np.abs(wide(gy)) * np.abs(reference.forward(x, settings)) / d
    spread = sum(np.roll(np.pad(share, [(0, 0)] * 3 + [(settings.n, settings.n)]), i, -1) for i in window(settings))
    inside = spread[..., settings.n : settings.n + x.shape[-1]]
    direct = np.abs(wide(gy)) / d**settings.beta
    return direct + 2 * settings.alpha * settings.beta * np.abs(wide(x)) * inside


def window(settings: LocalResponse) -> range:
    """The channels of a window, counted from its own."""
    return range(-(settings.n // 2), settings.n - settings.n // 2)


@each_case
@each_dtype
@each_place
def test_forward(device: Device, put: Any, shape: tuple[int, ...], settings: LocalResponse, dtype: Any) -> None:
    x = reals(1, shape, dtype)
    bound = 20 * precision(dtype) + stored_rounding(dtype)
    y, denominator = run_forward(device, put(device, x), settings)
    np.testing.assert_allclose(wide(device.download(denominator)), reference.denominator(x, settings), rtol=bound)
    # Below the smallest normal number of float16, rounding is not relative any more.
    np.testing.assert_allclose(wide(device.download(y)), reference.forward(x, settings), rtol=bound, atol=3e-8)


@each_case
@each_dtype
@each_place
def test_backward(device: Device, put: Any, shape: tuple[int, ...], settings: LocalResponse, dtype: Any) -> None:
    x, gy, before = reals(2, shape, dtype), reals(3, shape, dtype), reals(4, shape, dtype)
    expected = reference.backward(gy, x, settings)
    # y and the denominator were rounded when they were saved; the result is once more.
    rounded = stored_rounding(dtype)
    bound = (50 * precision(dtype) + 3 * rounded) * allowed_gradient_error(gy, x, settings)
    held = put(device, gy), put(device, x)
    assert (np.abs(wide(run_backward(device, *held, settings)) - expected) <= bound + 3e-8).all()
    added = wide(before) + expected
    accumulated = wide(run_backward(device, *held, settings, before))
    assert (np.abs(accumulated - added) <= bound + (rounded + precision(dtype)) * np.abs(added) + 3e-8).all()


@each_case
def test_gradient_by_finite_differences(cpu: Device, shape: tuple[int, ...], settings: LocalResponse) -> None:
    x, gy = reals(5, shape, np.float64), reals(6, shape, np.float64)

    def loss(moved: Host) -> float:
        return float((gy * cpu.download(run_forward(cpu, upload(cpu, moved), settings)[0])).sum())

    analytic = run_backward(cpu, upload(cpu, gy), upload(cpu, x), settings)
    np.testing.assert_allclose(analytic, gradient(loss, x), rtol=1e-6, atol=1e-8)


@each_dtype
@pytest.mark.parametrize("case", ["strong", "more channels than threads"])
def test_gradient_may_overwrite_the_output_gradient(device: Device, case: str, dtype: Any) -> None:
    shape, settings = LOCAL_RESPONSES[case]
    x, gy = reals(7, shape, dtype), reals(8, shape, dtype)
    held, gradients = upload(device, x), upload(device, gy)
    y, denominator = run_forward(device, held, settings)
    apart = unwritten(device, shape, dtype)
    for gx in (apart, gradients):
        device.primitives.local_response_norm_backward(device, gx, gradients, held, y, denominator, settings, False)
    np.testing.assert_array_equal(device.download(gradients), device.download(apart))


def test_infinity_and_nan_reach_their_window_only(device: Device) -> None:
    x = np.ones((1, 1, 1, 12), np.float32)
    x[..., 3] = np.nan
    x[..., 9] = np.inf
    y, denominator = run_forward(device, upload(device, x), LocalResponse())
    expected = reference.forward(x[..., :1], LocalResponse(n=1))
    found = device.download(y).ravel()
    assert np.isnan(found[[1, 2, 3, 4, 5, 9]]).all()
    assert (found[[7, 8, 10, 11]] == 0).all()
    np.testing.assert_allclose(found[[0, 6]], expected.item(), rtol=1e-3)
    assert np.isinf(device.download(denominator).ravel()[[7, 8, 9, 10, 11]]).all()


def test_large_layers_equal_their_small_repetition(device: Device) -> None:
    """Blocks and threads: a large batch that repeats a small one."""
    settings = LocalResponse(k=1.0, n=5, alpha=0.1, beta=0.75)
    x, gy = reals(9, (2, 9, 10, 96), np.float32), reals(10, (2, 9, 10, 96), np.float32)
    repeats = (20 if device.name == "cpu" else 1, 1, 1, 1)
    held, gradients = upload(device, np.tile(x, repeats)), upload(device, np.tile(gy, repeats))
    y, _ = run_forward(device, held, settings)
    np.testing.assert_allclose(device.download(y), np.tile(reference.forward(x, settings), repeats), rtol=2e-6)
    expected = np.tile(reference.backward(gy, x, settings), repeats)
    np.testing.assert_allclose(run_backward(device, gradients, held, settings), expected, rtol=1e-5, atol=1e-5)
