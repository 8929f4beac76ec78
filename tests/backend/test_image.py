"""Crop, mirror and normalisation of pictures against loops over pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from tests.backend.arrays import unwritten, upload, upload_slice
from tests.cases.image import CROPS
from tests.reference import image as reference

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.mark.parametrize(("shape", "size", "placement"), CROPS.values(), ids=CROPS.keys())
@pytest.mark.parametrize("layout", ["images", "plain"])
@each_dtype
def test_normalized_crops(
    device: Device,
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    placement: list[tuple[int, int, int]],
    layout: Any,
    dtype: Any,
) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    mean, deviation = rng.uniform(0.2, 0.6, shape[-1]), rng.uniform(0.1, 0.4, shape[-1])
    mean, deviation = mean.astype(dtype), deviation.astype(dtype)
    corners = np.array(placement, np.int32)
    held = [upload(device, images, layout), upload(device, corners, "plain"), upload(device, mean)]
    expected = reference.normalize(images, corners, size, mean, deviation)
    bound = 4 * np.finfo(dtype).eps * (np.abs(expected) + 2 * (mean / deviation).max())
    out_shape = (shape[0], *size, shape[-1])
    for y in (unwritten(device, out_shape, dtype), upload_slice(device, np.zeros(out_shape, dtype))):
        device.primitives.normalize_images(device, y, *held, upload(device, deviation))
        assert (np.abs(device.download(y) - expected) <= bound).all()


def test_pixels_are_exact_without_mean_and_deviation(device: Device) -> None:
    """With mean 0 and deviation 1/255 every pixel keeps its number."""
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    y = unwritten(device, images.shape, np.float64)
    corner = upload(device, np.zeros((1, 3), np.int32), "plain")
    vectors = upload(device, np.zeros(1)), upload(device, np.full(1, 1 / 255))
    device.primitives.normalize_images(device, y, upload(device, images), corner, *vectors)
    np.testing.assert_array_equal(device.download(y), images)


def test_large_batches_are_cut_right(device: Device) -> None:
    """Blocks and threads: each picture keeps its own crop in a batch of many."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (64, 50, 52, 3)).astype(np.uint8)
    corners = np.stack([rng.integers(-3, 8, 64), rng.integers(-3, 8, 64), rng.integers(0, 2, 64)], axis=1)
    y = unwritten(device, (64, 48, 48, 3), np.float32)
    device.primitives.normalize_images(
        device,
        y,
        upload(device, images),
        upload(device, corners.astype(np.int32), "plain"),
        upload(device, np.full(3, 0.5, np.float32)),
        upload(device, np.full(3, 0.25, np.float32)),
    )
    padded = np.pad(images, [(0, 0), (3, 10), (3, 10), (0, 0)])
    for image, (top, left, mirror) in enumerate(corners):
        crop = padded[image, top + 3 : top + 51, left + 3 : left + 51]
        expected = ((crop[:, ::-1] if mirror else crop) / 255 - 0.5) / 0.25
        np.testing.assert_allclose(device.download(y)[image], expected, rtol=1e-6, atol=1e-6)
