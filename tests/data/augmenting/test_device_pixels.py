"""Crop, mirror and normalise, divided between loader and device in every way, against float64 on the original."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.augmenter import Augmenter
from gpunn.data.augmenting.moving import mirror
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.loading.batch import BatchLayout
from gpunn.data.loading.filling import Filler
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.arrays import ArrayDataset
from tests.backend.arrays import unwritten, upload
from tests.data.pictures import random_picture

COUNT, HEIGHT, WIDTH = 12, 9, 13
PREPROCESSING = Preprocessing(7, 6, 3, "crop", 9, (0.48, 0.41, 0.3), (0.2, 0.25, 0.3))
AUGMENTATION = Augmentation(crop_window=True, mirror=0.5)
SEED, EPOCH = 4, 2


@pytest.fixture(scope="module", params=["cpu", "emulator"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    opened = backend.open(request.param, 1 if request.param == "cpu" else None)
    yield opened
    opened.close()


def originals() -> npt.NDArray[np.uint8]:
    return np.stack([random_picture(seed, HEIGHT, WIDTH) for seed in range(COUNT)])


def loaded() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Images and placement, as a loader's worker makes them."""
    layout = BatchLayout(COUNT, (7, 6, 3))
    batch = layout.batches(np.zeros(layout.bytes, np.uint8))[0]
    batch.indices[:] = np.arange(COUNT)
    dataset = ArrayDataset(originals(), np.arange(COUNT) % 2, ("ant", "bee"))
    Filler(dataset, PREPROCESSING, AUGMENTATION, PillowDecoder(), SEED).fill(batch, EPOCH, lambda _: True)
    return batch.images, batch.placement


def corners() -> npt.NDArray[np.int32]:
    """Where the windows lie in the originals."""
    augmenter = Augmenter(AUGMENTATION, PREPROCESSING, SEED)
    rows = augmenter.draw(EPOCH, np.arange(COUNT))
    boxes = [augmenter.box(row, (HEIGHT, WIDTH)) for row in rows]
    return np.array([(top, left) for left, top, _, _ in boxes], np.int32)


def on_device(
    device: Device, images: npt.NDArray[np.uint8], placement: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    y = unwritten(device, (COUNT, 7, 6, 3), np.float32)
    mean, deviation = (upload(device, np.array(values), "plain") for values in (PREPROCESSING.mean, PREPROCESSING.std))
    device.primitives.normalize_images(
        device, y, upload(device, images), upload(device, placement, "plain"), mean, deviation
    )
    return np.asarray(device.download(y))


def test_loader_and_device_give_the_same_numbers_however_they_divide_the_work(device: Device) -> None:
    images, placement = loaded()
    mirrored = placement[:, 2]
    assert 0 < mirrored.sum() < COUNT
    mirrored_here = images.copy()
    mirror(mirrored_here, mirrored == 1)

    divisions = {
        "loader crops, device mirrors": (images, placement),
        "loader crops and mirrors": (mirrored_here, np.zeros_like(placement)),
        "device crops and mirrors": (originals(), np.column_stack([corners(), mirrored])),
    }
    found = [on_device(device, *division) for division in divisions.values()]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])

    expected = np.empty((COUNT, 7, 6, 3))
    for n, (top, left) in enumerate(corners().tolist()):
        for row in range(7):
            for column in range(6):
                from_left = 5 - column if mirrored[n] else column
                pixel = originals()[n, top + row, left + from_left].astype(np.float64)
                expected[n, row, column] = (pixel / 255 - PREPROCESSING.mean) / PREPROCESSING.std
    np.testing.assert_allclose(found[0], expected, rtol=2e-6, atol=2e-6)
