"""Crop, mirror and normalisation of pictures against loops over pixels."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import open_cpu
from gpunn.errors import UsageError
from tests.backend.arrays import FLOAT32, FLOAT64, FLOATS, unwritten, upload, upload_slice
from tests.cases.image import CROPS
from tests.reference import image as reference

each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=str)


@pytest.mark.parametrize(("shape", "size", "placement"), CROPS.values(), ids=CROPS.keys())
@pytest.mark.parametrize("layout", ["images", "plain"])
@each_dtype
def test_normalized_crops(
    device: Device,
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    placement: list[tuple[int, int, int]],
    layout: Any,
    dtype: np.dtype[Any],
) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    mean, deviation = rng.uniform(0.2, 0.6, shape[-1]), rng.uniform(0.1, 0.4, shape[-1])
    corners = np.array(placement, np.int32)
    held = [upload(device, images, layout), upload(device, corners, "plain"), upload(device, mean)]
    expected = reference.normalize(images, corners, size, mean, deviation)
    # Four roundings of terms no larger than these, and that of the result.
    computed = np.finfo(np.result_type(dtype, np.float32)).eps
    bound = 4 * computed * (np.abs(expected) + 2 * (mean / deviation).max())
    bound += ml_dtypes.finfo(dtype).eps * np.abs(expected)
    out_shape = (shape[0], *size, shape[-1])
    for y in (unwritten(device, out_shape, dtype), upload_slice(device, np.zeros(out_shape, dtype))):
        device.primitives.normalize_images(device, y, *held, upload(device, deviation))
        assert (np.abs(device.download(y).astype(np.float64) - expected) <= bound).all()


def test_every_device_gives_the_same_floats(device: Device) -> None:
    shape, size, placement = CROPS["inside"]
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    corners = np.array(placement, np.int32)
    mean, deviation = rng.uniform(0.2, 0.6, shape[-1]), rng.uniform(0.1, 0.4, shape[-1])
    found = []
    with_threads = open_cpu(1)
    for each in (device, with_threads):
        y = unwritten(each, (shape[0], *size, shape[-1]), np.float32)
        vectors = upload(each, mean, "plain"), upload(each, deviation, "plain")
        each.primitives.normalize_images(each, y, upload(each, images), upload(each, corners, "plain"), *vectors)
        found.append(each.download(y))
    with_threads.close()
    np.testing.assert_array_equal(*found)


def test_arrays_that_do_not_fit_are_refused(device: Device) -> None:
    if device.name == "cpu":
        pytest.skip("NumPy has its own words for it")
    y, images = upload(device, np.zeros((2, 4, 4, 3), np.float32)), upload(device, np.zeros((2, 5, 5, 3), np.uint8))
    corners = upload(device, np.zeros((2, 3), np.int32), "plain")
    three, four = (upload(device, np.ones(channels), "plain") for channels in (3, 4))
    with pytest.raises(UsageError, match=r"mean has shape \(4,\); y of \(2, 4, 4, 3\) wants \(3,\)"):
        device.primitives.normalize_images(device, y, images, corners, four, three)
    deep = upload(device, np.zeros((1, 1, 1, 6145), np.float32)), upload(device, np.zeros((1, 1, 1, 6145), np.uint8))
    many = upload(device, np.ones(6145), "plain")
    with pytest.raises(UsageError, match="at most 6144"):
        device.primitives.normalize_images(device, *deep, corners[:1], many, many)


def test_pixels_are_exact_without_mean_and_deviation(device: Device) -> None:
    """With mean 0 and deviation 1/255 every pixel keeps its number."""
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    y = unwritten(device, images.shape, FLOAT64 if device.name == "cpu" else FLOAT32)
    corner = upload(device, np.zeros((1, 3), np.int32), "plain")
    vectors = upload(device, np.zeros(1)), upload(device, np.full(1, 1 / 255))
    device.primitives.normalize_images(device, y, upload(device, images), corner, *vectors)
    np.testing.assert_array_equal(device.download(y), images)


def test_large_batches_are_cut_right(cpu: Device) -> None:
    """Blocks and threads of the CPU: each picture keeps its own crop in a batch of many."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (64, 50, 52, 3)).astype(np.uint8)
    corners = np.stack([rng.integers(-3, 8, 64), rng.integers(-3, 8, 64), rng.integers(0, 2, 64)], axis=1)
    y = unwritten(cpu, (64, 48, 48, 3), np.float32)
    cpu.primitives.normalize_images(
        cpu,
        y,
        upload(cpu, images),
        upload(cpu, corners.astype(np.int32), "plain"),
        upload(cpu, np.full(3, 0.5)),
        upload(cpu, np.full(3, 0.25)),
    )
    padded = np.pad(images, [(0, 0), (3, 10), (3, 10), (0, 0)])
    for image, (top, left, mirror) in enumerate(corners):
        crop = padded[image, top + 3 : top + 51, left + 3 : left + 51]
        expected = ((crop[:, ::-1] if mirror else crop) / 255 - 0.5) / 0.25
        np.testing.assert_allclose(cpu.download(y)[image], expected, rtol=1e-6, atol=1e-6)
