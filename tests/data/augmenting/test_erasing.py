from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.draws import draw
from gpunn.data.augmenting.erasing import erase

INDICES = np.arange(400, dtype=np.int64)


def erased(augmentation: Augmentation, epoch: int = 0) -> np.ndarray:
    images = np.zeros((len(INDICES), 40, 60, 3), np.uint8)
    erase(augmentation, images, draw(1, epoch, INDICES), 1, epoch, INDICES)
    return images


def test_rectangles_of_the_area_and_ratio_become_noise() -> None:
    images = erased(Augmentation(erase=1.0))
    areas, ratios = [], []
    for image in images:
        touched = image.any(axis=2)
        rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        # One rectangle: hardly a pixel of three random bytes is black.
        assert touched[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.99
        areas.append(height * width / 2400)
        ratios.append(width / height)
    assert 0.015 < min(areas) < 0.04
    assert 0.37 < max(areas) < 0.43
    assert np.mean(areas) == pytest.approx(0.21, abs=0.02)
    assert 0.24 < min(ratios) < 0.4
    assert 2.6 < max(ratios) < 4.2
    values = images[images > 0]
    assert values.mean() == pytest.approx(128, abs=1)
    assert values.max() == 255


@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_a_share_of_the_pictures_is_erased(probability: float) -> None:
    touched = erased(Augmentation(erase=probability)).any(axis=(1, 2, 3))
    assert touched.mean() == pytest.approx(probability, abs=0.06)


def test_the_noise_is_another_one_in_each_epoch_and_picture() -> None:
    whole = Augmentation(erase=1.0, erase_area=(1.0, 1.0))
    first, second = erased(whole), erased(whole, epoch=1)
    assert len({image.tobytes() for image in [*first[:20], *second[:20]]}) == 40
    np.testing.assert_array_equal(first, erased(whole))
