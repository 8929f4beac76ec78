from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.augmenting.noise import add_noise, noise_levels

INDICES = np.array([3, 10, 4], dtype=np.int64)
LEVELS = noise_levels(0.1)


def gray(count: int = 3, level: int = 128) -> np.ndarray:
    return np.full((count, 40, 50, 3), level, np.uint8)


@pytest.mark.parametrize("deviation", [0.01, 0.1])
def test_noise_is_gaussian_of_its_deviation(deviation: float) -> None:
    images = gray()
    add_noise(images, noise_levels(deviation), 0, 0, INDICES)
    added = images.astype(np.float64) - 128
    # Rounding to whole numbers adds a variance of 1/12.
    assert added.std() == pytest.approx(np.sqrt((255 * deviation) ** 2 + 1 / 12), rel=0.02)
    assert added.mean() == pytest.approx(0.0, abs=0.02 * 255 * deviation)
    assert (added**4).mean() / added.var() ** 2 == pytest.approx(3.0, abs=0.15)
    flat = added.reshape(3, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.05
    assert abs(np.corrcoef(flat[:, 1:].ravel(), flat[:, :-1].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(("level", "side"), [(0, 1), (255, -1)])
def test_noise_stops_at_black_and_white(level: int, side: int) -> None:
    images = gray(level=level)
    add_noise(images, LEVELS, 0, 0, INDICES)
    added = (images.astype(int) - level) * side
    assert added.min() == 0
    assert (added == 0).mean() == pytest.approx(0.5, abs=0.03)


def test_noise_depends_on_seed_epoch_and_index_only() -> None:
    def noisy(seed: int, epoch: int, index: int) -> bytes:
        images = gray(1)
        add_noise(images, LEVELS, seed, epoch, np.array([index], dtype=np.int64))
        return images.tobytes()

    together = gray()
    add_noise(together, LEVELS, 5, 2, INDICES)
    assert [image.tobytes() for image in together] == [noisy(5, 2, index) for index in INDICES.tolist()]
    assert len({noisy(5, 2, 3), noisy(6, 2, 3), noisy(5, 3, 3), noisy(5, 2, 4)}) == 4


def test_the_table_has_the_shares_of_the_normal_distribution() -> None:
    levels = noise_levels(10 / 255)
    for sigmas, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        # A rounded number is at most 10, 20 or 30 where the number itself is below half a level more.
        inside = (np.abs(levels) < 10 * sigmas).mean() + (np.abs(levels) == 10 * sigmas).mean() / 2
        assert inside == pytest.approx(share, abs=1e-3)
    np.testing.assert_array_equal(levels, -levels[::-1])
