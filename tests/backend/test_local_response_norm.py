"""Local response normalisation against float64 loops and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import LocalResponse
from gpunn.backend.contract import Array, Device
from tests.backend.arrays import Host, unwritten, upload, upload_slice
from tests.cases.local_response_norm import LOCAL_RESPONSES
from tests.reference import local_response_norm as reference
from tests.reference.finite_differences import gradient

each_case = pytest.mark.parametrize(("shape", "settings"), LOCAL_RESPONSES.values(), ids=LOCAL_RESPONSES.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def reals(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    return (3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def run_forward(device: Device, x: Array, settings: LocalResponse) -> tuple[Array, Array]:
    y, denominator = unwritten(device, x.shape, x.dtype), unwritten(device, x.shape, x.dtype)
    device.primitives.local_response_norm_forward(device, y, denominator, x, settings)
    return y, denominator


def run_backward(device: Device, gy: Array, x: Array, settings: LocalResponse, before: Host | None = None) -> Host:
    y, denominator = run_forward(device, x, settings)
    gx = unwritten(device, x.shape, x.dtype) if before is None else upload(device, before)
    device.primitives.local_response_norm_backward(device, gx, gy, x, y, denominator, settings, before is not None)
    return device.download(gx)


@each_case
@each_dtype
def test_forward(device: Device, shape: tuple[int, ...], settings: LocalResponse, dtype: Any) -> None:
    x = reals(1, shape, dtype)
    bound = 20 * np.finfo(dtype).eps
    for held in (upload(device, x), upload_slice(device, x)):
        y, denominator = run_forward(device, held, settings)
        np.testing.assert_allclose(device.download(denominator), reference.denominator(x, settings), rtol=bound)
        np.testing.assert_allclose(device.download(y), reference.forward(x, settings), rtol=bound)


@each_case
@each_dtype
def test_backward(device: Device, shape: tuple[int, ...], settings: LocalResponse, dtype: Any) -> None:
    x, gy, before = reals(2, shape, dtype), reals(3, shape, dtype), reals(4, shape, dtype)
    expected = reference.backward(gy, x, settings)
    bound = 50 * np.finfo(dtype).eps
    for put in (upload, upload_slice):
        held = put(device, gy), put(device, x)
        np.testing.assert_allclose(run_backward(device, *held, settings), expected, rtol=bound, atol=4 * bound)
        accumulated = run_backward(device, *held, settings, before)
        np.testing.assert_allclose(accumulated, before + expected, rtol=bound, atol=4 * bound)


@each_case
def test_gradient_by_finite_differences(device: Device, shape: tuple[int, ...], settings: LocalResponse) -> None:
    x, gy = reals(5, shape, np.float64), reals(6, shape, np.float64)

    def loss(moved: Host) -> float:
        return float((gy * device.download(run_forward(device, upload(device, moved), settings)[0])).sum())

    analytic = run_backward(device, upload(device, gy), upload(device, x), settings)
    np.testing.assert_allclose(analytic, gradient(loss, x), rtol=1e-6, atol=1e-8)


def test_gradient_may_overwrite_the_output_gradient(device: Device) -> None:
    shape, settings = LOCAL_RESPONSES["strong"]
    x, gy = reals(7, shape, np.float64), reals(8, shape, np.float64)
    held, gradients = upload(device, x), upload(device, gy)
    y, denominator = run_forward(device, held, settings)
    device.primitives.local_response_norm_backward(device, gradients, gradients, held, y, denominator, settings, False)
    np.testing.assert_allclose(device.download(gradients), reference.backward(gy, x, settings), rtol=1e-12, atol=1e-12)


def test_large_layers_equal_their_small_repetition(device: Device) -> None:
    """Blocks and threads: a large batch that repeats a small one."""
    settings = LocalResponse(k=1.0, n=5, alpha=0.1, beta=0.75)
    x, gy = reals(9, (2, 9, 10, 96), np.float32), reals(10, (2, 9, 10, 96), np.float32)
    repeats = (20, 1, 1, 1)
    held, gradients = upload(device, np.tile(x, repeats)), upload(device, np.tile(gy, repeats))
    y, _ = run_forward(device, held, settings)
    np.testing.assert_allclose(device.download(y), np.tile(reference.forward(x, settings), repeats), rtol=2e-6)
    expected = np.tile(reference.backward(gy, x, settings), repeats)
    np.testing.assert_allclose(run_backward(device, gradients, held, settings), expected, rtol=1e-5, atol=1e-5)
