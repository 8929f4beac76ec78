"""Mixtures against the formulas of their papers, with pictures that tell where each pixel is from."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.draws import Draw, draw
from gpunn.data.augmenting.mixing import mix
from tests.data.pictures import random_picture

COUNT = 200
DRAWS = draw(2, 0, np.arange(COUNT, dtype=np.int64))
EVERY = np.arange(COUNT, dtype=np.int64)


def one_hot(count: int = COUNT) -> np.ndarray:
    return np.eye(count, dtype=np.float32)


def two_parts(labels: np.ndarray, own: int) -> tuple[float, int]:
    """The share of a picture's own label, and whose the rest is; nobody's (-1) where it is whole."""
    others = [other for other in np.flatnonzero(labels).tolist() if other != own]
    assert len(others) <= 1
    assert labels.sum() == pytest.approx(1.0, abs=1e-6)
    return float(labels[own]), others[0] if others else -1


def test_mixup_is_the_weighted_mean_of_two_pictures_and_their_labels() -> None:
    images = np.stack([random_picture(seed, 6, 5) for seed in range(COUNT)])
    original, labels = images.copy(), one_hot()
    mix(Augmentation(mixup=1.0), images, labels, DRAWS, EVERY)
    shares = []
    for own in range(COUNT):
        share, other = two_parts(labels[own], own)
        assert other != own
        expected = share * original[own].astype(np.float64) + (1 - share) * original[other]
        assert np.abs(images[own] - expected).max() < 0.501
        shares.append(share)
    # Beta(1, 1) is even.
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.var(shares) == pytest.approx(1 / 12, abs=0.02)


def test_cutmix_lays_a_rectangle_over_the_picture_and_counts_its_area() -> None:
    images = np.repeat(np.arange(COUNT, dtype=np.uint8), 30 * 40 * 3).reshape(COUNT, 30, 40, 3)
    labels = one_hot()
    mix(Augmentation(cutmix=1.0), images, labels, DRAWS, EVERY)
    centres = []
    for own in range(COUNT):
        share, other = two_parts(labels[own], own)
        assert (images[own] == images[own, ..., :1]).all()
        foreign = images[own, ..., 0] != own
        assert foreign.mean() == pytest.approx(1 - share, abs=1e-6)
        if not foreign.any():
            continue
        assert set(images[own][foreign].ravel().tolist()) == {other}
        rows, columns = np.flatnonzero(foreign.any(axis=1)), np.flatnonzero(foreign.any(axis=0))
        assert foreign[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        inside = rows[0] > 0 and rows[-1] < 29 and columns[0] > 0 and columns[-1] < 39
        if inside and foreign.mean() > 0.1:
            # Uncut, it has the proportions of the picture.
            assert len(columns) / len(rows) == pytest.approx(40 / 30, rel=0.15)
        centres.append((rows.mean() / 29, columns.mean() / 39))
    np.testing.assert_allclose(np.mean(centres, axis=0), 0.5, atol=0.06)
    assert abs(np.corrcoef(np.transpose(centres))[0, 1]) < 0.2


def test_the_rectangle_of_cutmix_has_sides_of_the_root_of_its_share() -> None:
    rows = np.full((2, len(Draw)), 0.5)
    rows[:, [Draw.MIXED, Draw.PARTNER]] = 0.0
    rows[:, Draw.SHARE] = 0.36
    images = np.zeros((2, 50, 100, 1), np.uint8)
    images[1] = 9
    labels = one_hot(2)
    mix(Augmentation(cutmix=1.0), images, labels, rows, np.arange(2))
    # sqrt(1 - 0.36) = 0.8 of 50 and of 100, around the middle.
    expected = np.zeros((50, 100, 1), np.uint8)
    expected[5:45, 10:90] = 9
    np.testing.assert_array_equal(images[0], expected)
    np.testing.assert_allclose(labels, [[0.36, 0.64], [0.64, 0.36]], atol=1e-6)


def test_both_kinds_share_the_pictures_and_a_part_is_left_alone() -> None:
    images = np.repeat(np.arange(COUNT, dtype=np.uint8), 20 * 20).reshape(COUNT, 20, 20, 1)
    original, labels = images.copy(), one_hot()
    mix(Augmentation(mixup=5.0, cutmix=5.0, mix_share=0.6), images, labels, DRAWS, EVERY)
    whole = (labels[EVERY, EVERY] == 1.0).mean()
    blended = np.mean([len(np.unique(image)) == 1 for image in images]) - whole
    assert whole == pytest.approx(0.4, abs=0.08)
    assert blended == pytest.approx(0.3, abs=0.08)
    alone = labels[EVERY, EVERY] == 1.0
    np.testing.assert_array_equal(images[alone], original[alone])


def test_partners_are_any_of_the_others() -> None:
    rows = draw(0, 1, np.arange(3000, dtype=np.int64)).reshape(1000, 3, -1)
    partners = []
    for row in rows:
        labels = one_hot(3)
        mix(Augmentation(mixup=1.0), np.zeros((3, 1, 1, 1), np.uint8), labels, row, np.arange(3))
        partners.append([two_parts(labels[own], own)[1] for own in range(3)])
    for own, found in enumerate(np.array(partners).T):
        counts = np.bincount(found, minlength=3)
        assert counts[own] == 0
        assert np.delete(counts, own).min() > 430


def test_pictures_that_could_not_be_read_are_nobodys_partner() -> None:
    images = np.repeat(np.arange(COUNT, dtype=np.uint8), 4).reshape(COUNT, 2, 2, 1)
    labels = one_hot()
    sound = EVERY[::2]
    mix(Augmentation(mixup=0.4, cutmix=1.0), images, labels, DRAWS, sound)
    assert not labels[sound, 1::2].any()
    np.testing.assert_array_equal(labels[1::2], one_hot()[1::2])


def test_a_picture_alone_stays_as_it_is() -> None:
    images, labels = random_picture(0, 4, 4)[np.newaxis].copy(), one_hot(1)
    original = images.copy()
    mix(Augmentation(mixup=1.0), images, labels, DRAWS[:1], np.arange(1))
    np.testing.assert_array_equal(images, original)
    assert labels.tolist() == [[1.0]]
