"""Copies, sums and the shape of arrays, against element loops; all of them exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Array, Device
from tests.backend.arrays import Host, unwritten, upload, upload_slice
from tests.cases.memory import IMAGES, VECTORS
from tests.reference import memory as reference

SHAPES: dict[str, tuple[int, ...]] = {**IMAGES, **VECTORS, "large": (32, 24, 25, 24)}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
each_image = pytest.mark.parametrize("shape", IMAGES.values(), ids=IMAGES.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def integers(seed: int, shape: tuple[int, ...], dtype: Any) -> Host:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def both(device: Device, host: Host) -> list[Array]:
    """The same values dense, and as a slice of the channels where there are any."""
    return [upload(device, host)] + ([upload_slice(device, host)] if host.ndim > 1 else [])


@each_shape
@each_dtype
def test_copy(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    x, before = integers(1, shape, dtype), integers(2, shape, dtype)
    for held in both(device, x):
        for y in both(device, before):
            device.primitives.copy(device, y, held, True)
            np.testing.assert_array_equal(device.download(y), before + x)
            device.primitives.copy(device, y, held, False)
            np.testing.assert_array_equal(device.download(y), x)


@each_shape
@each_dtype
def test_fill(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    for y in both(device, integers(3, shape, dtype)):
        device.primitives.fill(device, y, -1.5)
        np.testing.assert_array_equal(device.download(y), np.full(shape, -1.5))


def test_fill_leaves_the_channels_beside_a_slice(device: Device) -> None:
    wide = upload(device, np.zeros((2, 3, 4, 6), np.float32))
    device.primitives.fill(device, wide[..., 2:5], 7)
    np.testing.assert_array_equal(device.download(wide)[1, 2, 3], [0, 0, 7, 7, 7, 0])


@each_shape
@each_dtype
def test_scale(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    x, before = integers(4, shape, dtype), integers(5, shape, dtype)
    for held in both(device, x):
        for y in both(device, before):
            device.primitives.scale(device, y, held, 0.5, True)
            np.testing.assert_array_equal(device.download(y), before + x / 2)
            device.primitives.scale(device, y, held, -0.25, False)
            np.testing.assert_array_equal(device.download(y), x / -4)
        device.primitives.scale(device, held, held, 3, False)
        np.testing.assert_array_equal(device.download(held), 3 * x)


@each_image
@each_dtype
def test_flatten(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    N, H, W, C = shape
    x = integers(6, shape, dtype)
    for held in both(device, x):
        y = unwritten(device, (N, H * W * C), dtype)
        device.primitives.flatten_forward(device, y, held)
        np.testing.assert_array_equal(device.download(y), reference.flatten(x))


@each_image
@each_dtype
def test_flatten_backward_undoes_flatten(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    x, before = integers(7, shape, dtype), integers(8, shape, dtype)
    gy = upload(device, reference.flatten(x))
    for gx in both(device, before):
        device.primitives.flatten_backward(device, gx, gy, True)
        np.testing.assert_array_equal(device.download(gx), before + x)
        device.primitives.flatten_backward(device, gx, gy, False)
        np.testing.assert_array_equal(device.download(gx), x)


def test_flatten_of_a_large_batch(device: Device) -> None:
    x = np.arange(64 * 12 * 11 * 48, dtype=np.float64).reshape(64, 12, 11, 48)
    y = unwritten(device, (64, 12 * 11 * 48), np.float64)
    device.primitives.flatten_forward(device, y, upload(device, x))
    np.testing.assert_array_equal(device.download(y), np.arange(x.size).reshape(64, -1))


@each_shape
@pytest.mark.parametrize("count", [1, 2, 4])
def test_add(device: Device, shape: tuple[int, ...], count: int) -> None:
    xs = [integers(seed, shape, np.float32) for seed in range(count)]
    for held in ([upload(device, x) for x in xs], [both(device, x)[-1] for x in xs]):
        y = unwritten(device, shape, np.float32)
        device.primitives.add(device, y, held)
        np.testing.assert_array_equal(device.download(y), np.sum(xs, axis=0))
        device.primitives.add(device, held[0], held)
        np.testing.assert_array_equal(device.download(held[0]), np.sum(xs, axis=0))


def test_add_goes_from_left_to_right(device: Device) -> None:
    terms = [upload(device, np.full((2, 3), value, np.float32)) for value in (1e8, 1.0, -1e8, 1.0)]
    y = unwritten(device, (2, 3), np.float32)
    device.primitives.add(device, y, terms)
    np.testing.assert_array_equal(device.download(y), np.ones((2, 3)))


@pytest.mark.parametrize("leading", [(3, 4, 5), (7,), (32, 20, 21)])
@each_dtype
def test_concatenate(device: Device, leading: tuple[int, ...], dtype: Any) -> None:
    xs = [integers(seed, (*leading, C), dtype) for seed, C in enumerate((2, 1, 16))]
    expected = reference.concatenate(xs)
    y = unwritten(device, expected.shape, dtype)
    device.primitives.concatenate_forward(device, y, [upload(device, x) for x in xs])
    np.testing.assert_array_equal(device.download(y), expected)


@pytest.mark.parametrize("leading", [(3, 4, 5), (7,), (32, 20, 21)])
@each_dtype
def test_concatenate_backward(device: Device, leading: tuple[int, ...], dtype: Any) -> None:
    parts = [integers(seed, (*leading, C), dtype) for seed, C in enumerate((2, 1, 16))]
    gy = upload(device, reference.concatenate(parts))
    for part, start in zip(parts, (0, 2, 3), strict=True):
        before = integers(9, part.shape, dtype)
        gx = upload(device, before)
        device.primitives.concatenate_backward(device, gx, gy, start, True)
        np.testing.assert_array_equal(device.download(gx), before + part)
        device.primitives.concatenate_backward(device, gx, gy, start, False)
        np.testing.assert_array_equal(device.download(gx), part)
