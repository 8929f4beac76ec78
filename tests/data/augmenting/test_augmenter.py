from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.augmenter import Augmenter
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import UsageError
from tests.data.pictures import random_picture

PREPROCESSING = Preprocessing(6, 7, 3, "crop", 8, (0.5,) * 3, (0.5,) * 3)
AXES = ((0.2, 0.2, 0.2), (0.1, 0.0, -0.1), (0.0, 0.05, -0.05))
EVERYTHING = Augmentation(
    shift=0.1,
    rotation=15.0,
    scale=(0.8, 1.2),
    shear=5.0,
    mirror=0.5,
    crop_area=(0.3, 1.0),
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=20.0,
    lighting=0.1,
    colour_axes=AXES,
    noise=0.02,
    erase=0.5,
)


def pictures(count: int) -> np.ndarray:
    return np.stack([random_picture(seed, 6, 7) for seed in range(count)])


def test_the_default_changes_nothing() -> None:
    augmenter = Augmenter(Augmentation(), PREPROCESSING, 0)
    images, indices = pictures(4), np.arange(4, dtype=np.int64)
    draws = augmenter.draw(0, indices)
    augmenter.change(images, draws, 0, indices)
    np.testing.assert_array_equal(images, pictures(4))
    assert not augmenter.mirror(images, draws).any()
    assert augmenter.box(draws[0], (16, 20)) == PREPROCESSING.evaluation_box(16, 20)


def test_what_happens_to_a_picture_does_not_depend_on_the_others() -> None:
    augmenter = Augmenter(EVERYTHING, PREPROCESSING, 7)
    indices = np.array([5, 900, 2, 31], dtype=np.int64)
    together = pictures(4)
    draws = augmenter.draw(3, indices)
    augmenter.change(together, draws, 3, indices)
    for number in range(4):
        alone, own = pictures(4)[number : number + 1], indices[number : number + 1]
        row = augmenter.draw(3, own)
        augmenter.change(alone, row, 3, own)
        np.testing.assert_array_equal(alone[0], together[number])
        assert augmenter.box(row[0], (30, 40)) == augmenter.box(draws[number], (30, 40))
    assert (together != pictures(4)).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 1.0])
def test_mirroring_is_told_and_left_to_the_device(probability: float) -> None:
    augmenter = Augmenter(Augmentation(mirror=probability), PREPROCESSING, 0)
    images = np.repeat(pictures(1), 2000, axis=0)
    draws = augmenter.draw(0, np.arange(2000, dtype=np.int64))
    assert augmenter.mirror(images, draws).mean() == pytest.approx(probability, abs=0.04)
    assert (images == pictures(1)).all()


def test_pictures_that_will_be_mixed_are_mirrored_at_once() -> None:
    augmenter = Augmenter(Augmentation(mirror=0.5, cutmix=1.0), PREPROCESSING, 0)
    images = np.repeat(pictures(1), 2000, axis=0)
    draws = augmenter.draw(0, np.arange(2000, dtype=np.int64))
    assert not augmenter.mirror(images, draws).any()
    mirrored = (images == pictures(1)[:, :, ::-1]).all(axis=(1, 2, 3))
    assert mirrored.mean() == pytest.approx(0.5, abs=0.04)
    assert (images[~mirrored] == pictures(1)).all()


def test_light_without_axes_is_refused() -> None:
    with pytest.raises(UsageError, match="colour_axes"):
        Augmenter(Augmentation.for_alexnet(), PREPROCESSING, 0)
