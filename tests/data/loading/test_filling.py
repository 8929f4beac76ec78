from __future__ import annotations

import pickle
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.decoding.picture import Box, Decoder, Picture
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.loading.batch import Batch, BatchLayout
from gpunn.data.loading.filling import Filler
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import DataError, UsageError
from tests.data.pictures import random_picture

CROP = Preprocessing(6, 6, 3, "crop", 8, (0.5,) * 3, (0.5,) * 3)
CLASSES = ("ant", "bee", "cat")


def data(count: int, height: int = 8, width: int = 12, channels: int = 3) -> ArrayDataset:
    images = np.stack([random_picture(seed, height, width, channels) for seed in range(count)])
    return ArrayDataset(images, np.arange(count) % 3, CLASSES)


def filled(
    dataset: Any,
    augmentation: Augmentation,
    *,
    preprocessing: Preprocessing = CROP,
    decoder: Decoder | None = None,
    soft: bool = False,
    parts: tuple[int, ...] = (),
    epoch: int = 0,
) -> tuple[Batch, list[int]]:
    """A batch of the whole data set, filled part by part, and the positions of failures."""
    picture = (preprocessing.height, preprocessing.width, preprocessing.channels)
    layout = BatchLayout(len(dataset), picture, (("soft_labels", "<f4", (3,)),) if soft else ())
    batch = layout.batches(np.zeros(layout.bytes, np.uint8))[0]
    batch.indices[:] = np.arange(len(dataset))
    filler = Filler(dataset, preprocessing, augmentation, decoder or PillowDecoder(), 5)
    edges = [0, *parts, len(dataset)]
    failures = []
    for first, last in pairwise(edges):
        found = filler.fill(batch.part(first, last), epoch, lambda _: True)
        failures += [first + failure.position for failure in found]
    return batch, failures


class NoDecoder:
    """A decoder that is not to be used."""

    name = "none"

    def open(self, encoded: bytes) -> Picture:
        raise AssertionError

    def picture(self, pixels: npt.NDArray[np.uint8]) -> Picture:
        raise AssertionError


class SlowPath(PillowDecoder):
    """Counts what it draws."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list[Box] = []

    def picture(self, pixels: npt.NDArray[np.uint8]) -> Picture:
        self.boxes.append((0.0, 0.0, 0.0, 0.0))
        return super().picture(pixels)


class Broken:
    """Every third picture cannot be read."""

    classes = CLASSES
    picture_shape = (8, 12, 3)
    targets: ClassVar[Mapping[str, Any]] = {}
    labels = (np.arange(12) % 3).astype(np.int32)

    def __len__(self) -> int:
        return 12

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        if index % 3 == 0:
            raise DataError(f"picture {index} is broken")
        return np.full((8, 12, 3), 10 * (index % 3), np.uint8)

    def name(self, index: int) -> str:
        return f"picture {index}"

    def fingerprint(self) -> str:
        return ""


def test_windows_of_whole_pixels_are_copied_as_they_lie() -> None:
    dataset = data(40)
    batch, failures = filled(dataset, Augmentation(crop_window=True), decoder=NoDecoder())
    assert failures == []
    places = set()
    for index in range(40):
        picture = dataset.load(index)
        found = [
            (top, left)
            for top in range(3)
            for left in range(7)
            if (picture[top : top + 6, left : left + 6] == batch.images[index]).all()
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 12


@pytest.mark.parametrize(("channels", "into"), [(1, 3), (3, 1)])
def test_other_channels_go_through_the_decoder(channels: int, into: int) -> None:
    preprocessing = Preprocessing(6, 6, into, "crop", 8, (0.5,) * into, (0.5,) * into)
    dataset, decoder = data(4, 8, 12, channels), SlowPath()
    batch, failures = filled(dataset, Augmentation(), preprocessing=preprocessing, decoder=decoder)
    assert failures == []
    assert len(decoder.boxes) == 4
    for index in range(4):
        window = dataset.load(index)[1:7, 3:9].astype(np.float64)
        expected = window if channels == 1 else window @ np.array([[0.299], [0.587], [0.114]])
        assert np.abs(batch.images[index] - expected).max() < 1.0


def test_edges_between_pixels_are_interpolated() -> None:
    """Also where cutting the edges off to whole pixels would leave a window of the right size: 1.125 to 7.875."""
    dataset = data(3, 9, 9)
    batch, failures = filled(dataset, Augmentation())
    assert failures == []
    weights = np.zeros((6, 9))
    for row, centre in enumerate(1.125 + 1.125 * (np.arange(6) + 0.5)):
        # A triangle as wide as the scale (antialiased bilinear interpolation).
        weights[row] = np.maximum(0, 1 - np.abs(np.arange(9) + 0.5 - centre) / 1.125)
    weights /= weights.sum(axis=1, keepdims=True)
    for index in range(3):
        expected = np.einsum("hr,rcx,wc->hwx", weights, dataset.load(index).astype(np.float64), weights)
        assert np.abs(batch.images[index] - expected).max() < 2.0


def test_soft_labels_of_whole_pictures_are_one_hot() -> None:
    batch, _ = filled(data(7), Augmentation(), soft=True)
    np.testing.assert_array_equal(batch.targets["soft_labels"], np.eye(3)[np.arange(7) % 3])


def test_soft_labels_are_written_over_those_of_the_batch_before() -> None:
    layout = BatchLayout(4, (6, 6, 3), (("soft_labels", "<f4", (3,)),))
    batch = layout.batches(np.zeros(layout.bytes, np.uint8))[0]
    batch.targets["soft_labels"][...] = 0.25
    batch.indices[:] = np.arange(4)
    Filler(data(4), CROP, Augmentation(), PillowDecoder(), 0).fill(batch, 0, lambda _: True)
    np.testing.assert_array_equal(batch.targets["soft_labels"], np.eye(3)[[0, 1, 2, 0]])


def test_soft_labels_of_mixtures_are_shares_of_classes() -> None:
    batch, _ = filled(data(60), Augmentation(mixup=1.0, cutmix=1.0), soft=True)
    soft = batch.targets["soft_labels"]
    np.testing.assert_allclose(soft.sum(axis=1), 1.0, atol=1e-6)
    assert 0.2 < (soft.max(axis=1) < 0.9).mean() < 0.9
    assert (soft >= 0).all()
    np.testing.assert_array_equal(batch.labels, np.arange(60) % 3)
    whole = soft.max(axis=1) == 1.0
    assert 0.1 < whole.mean() < 0.6


def test_mixtures_are_of_pictures_of_the_same_part() -> None:
    dataset = ArrayDataset(
        np.repeat(np.arange(30, dtype=np.uint8), 8 * 12 * 3).reshape(30, 8, 12, 3), np.arange(30) % 3, CLASSES
    )
    batch, _ = filled(dataset, Augmentation(cutmix=1.0), soft=True, parts=(10, 20))
    for own, image in enumerate(batch.images):
        assert set((image // 10).ravel().tolist()) == {own // 10}


def test_mixing_needs_soft_labels() -> None:
    with pytest.raises(UsageError, match="soft_labels=True"):
        filled(data(4), Augmentation(mixup=0.2))


def test_what_could_not_be_read_is_in_no_mixture() -> None:
    batch, failures = filled(Broken(), Augmentation(mixup=1.0), soft=True)
    assert failures == [0, 3, 6, 9]
    readable = np.arange(12) % 3 > 0
    assert (batch.images[readable] >= 10).all()
    np.testing.assert_array_equal(batch.targets["soft_labels"][readable, 0], 0)


def test_mirroring_is_done_here_for_mixtures_and_left_to_the_device_else() -> None:
    alone, _ = filled(data(40), Augmentation(mirror=0.5))
    assert 8 < alone.placement[:, 2].sum() < 32
    mixed, _ = filled(data(40), Augmentation(mirror=0.5, mixup=1.0), soft=True)
    assert not mixed.placement.any()


def test_a_filler_that_was_sent_to_another_process_does_the_same() -> None:
    augmentation = Augmentation(crop_area=(0.3, 1.0), brightness=0.3, noise=0.05, erase=0.5)
    filler = Filler(data(5), CROP, augmentation, PillowDecoder(), 5)
    layout = BatchLayout(5, (6, 6, 3))
    images = []
    for copy in (filler, pickle.loads(pickle.dumps(filler))):
        batch = layout.batches(np.zeros(layout.bytes, np.uint8))[0]
        batch.indices[:] = np.arange(5)
        copy.fill(batch, 2, lambda _: True)
        images.append(batch.images)
    np.testing.assert_array_equal(images[0], images[1])


def test_the_next_epoch_is_another_one() -> None:
    augmentation = Augmentation(noise=0.05, erase=0.5, erase_area=(0.2, 0.4))
    first, second = (filled(data(6), augmentation, epoch=epoch)[0].images for epoch in (0, 1))
    assert (first != second).any(axis=(1, 2, 3)).all()
