from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.adaptation import ChannelStatistics, adapt, channel_statistics, colour_axes, describe_adaptation
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import DataError
from tests.data.pictures import random_picture

ONE = ChannelStatistics((0.1,), (0.3,))
THREE = ChannelStatistics((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


@pytest.mark.parametrize(
    ("pictures", "inputs", "lines", "resize", "resize_to"),
    [
        ((28, 28, 1), (28, 28, 1), (), "stretch", 28),
        ((28, 28, 1), (32, 32, 3), ("resize 28x28 to 32x32", "repeat gray to RGB"), "stretch", 32),
        ((20, 40, 3), (10, 20, 3), ("resize 20x40 to 10x20",), "stretch", 20),
        ((32, 32, 3), (32, 32, 1), ("RGB to gray by luma",), "stretch", 32),
        ((None, None, 3), (224, 224, 3), ("resize the shorter side to 256, take the centre 224x224",), "crop", 256),
        (
            (375, 500, 3),
            (28, 28, 1),
            ("resize the shorter side to 32, take the centre 28x28", "RGB to gray by luma"),
            "crop",
            32,
        ),
    ],
)
def test_every_adaptation_is_told(
    pictures: tuple[int | None, int | None, int],
    inputs: tuple[int, int, int],
    lines: tuple[str, ...],
    resize: str,
    resize_to: int,
) -> None:
    statistics = ONE if inputs[2] == 1 else THREE
    adaptation = adapt(pictures, inputs, statistics)
    assert adaptation.lines == lines
    preprocessing = adaptation.preprocessing
    assert (preprocessing.height, preprocessing.width, preprocessing.channels) == inputs
    assert (preprocessing.resize, preprocessing.resize_to) == (resize, resize_to)
    assert (preprocessing.mean, preprocessing.std) == (statistics.mean, statistics.std)
    height, width, channels = (size or 60 for size in pictures)
    assert preprocessing.apply(random_picture(0, height, width, channels)).shape == inputs


@pytest.mark.parametrize(
    ("pictures", "inputs", "lines", "resize_to"),
    [
        ((256, 256, 3), (227, 227, 3), ("take the centre 227x227 of 256x256",), 256),
        ((256, 320, 3), (224, 256, 1), ("take the centre 224x256 of 256x320", "RGB to gray by luma"), 256),
        ((256, 256, 3), (256, 256, 3), (), 256),
        ((256, 256, 3), (160, 160, 3), ("resize the shorter side to 183, take the centre 160x160",), 183),
        ((28, 28, 1), (32, 32, 1), ("resize the shorter side to 37, take the centre 32x32",), 37),
        ((224, 300, 3), (200, 230, 3), ("resize the shorter side to 263, take the centre 200x230",), 263),
    ],
)
def test_pictures_brought_to_one_size_are_cropped_and_scaled_only_where_the_input_is_much_smaller(
    pictures: tuple[int, int, int], inputs: tuple[int, int, int], lines: tuple[str, ...], resize_to: int
) -> None:
    adaptation = adapt(pictures, inputs, ONE if inputs[2] == 1 else THREE, resized=True)
    assert adaptation.lines == lines
    assert (adaptation.preprocessing.resize, adaptation.preprocessing.resize_to) == ("crop", resize_to)


def test_what_is_taken_unscaled_are_the_pixels_themselves() -> None:
    picture = random_picture(3, 16, 18)
    preprocessing = adapt(picture.shape, (13, 15, 3), THREE, resized=True).preprocessing
    np.testing.assert_array_equal(preprocessing.apply(picture), picture[1:14, 1:16])


def test_a_preprocessing_made_for_other_pictures_is_described_for_these() -> None:
    stretching = adapt((28, 28, 1), (32, 32, 3), THREE).preprocessing
    assert describe_adaptation((None, None, 3), stretching) == ("resize to 32x32",)
    cropping = adapt((256, 256, 3), (224, 224, 3), THREE, resized=True).preprocessing
    assert describe_adaptation((None, None, 3), cropping) == (
        "resize the shorter side to 256, take the centre 224x224",
    )


@pytest.mark.parametrize(
    ("pictures", "inputs", "words"),
    [
        ((28, 28, 1), (28, 28, 4), "28x28x4: only 1 .gray. and 3 .RGB. channels"),
        ((None, None, 2), (28, 28, 3), "pictures of anyxanyx2"),
        ((28, 28, 1), (0, 28, 1), "must be positive"),
        ((28, 0, 1), (28, 28, 1), "must be positive"),
    ],
)
def test_what_cannot_be_adapted_is_refused(
    pictures: tuple[int | None, int | None, int], inputs: tuple[int, int, int], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        adapt(pictures, inputs, THREE)


def dataset(images: np.ndarray) -> ArrayDataset:
    return ArrayDataset(images, np.zeros(len(images), int), ("only",))


def test_statistics_are_those_of_the_pixels() -> None:
    images = np.stack([random_picture(seed, 6, 7) // (seed + 1) for seed in range(9)])
    found = channel_statistics(dataset(images), 3)
    np.testing.assert_allclose(found.mean, (images / 255).mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found.std, (images / 255).std(axis=(0, 1, 2)), rtol=1e-5)
    gray = np.round(images @ [0.299, 0.587, 0.114]) / 255
    found = channel_statistics(dataset(images), 1)
    np.testing.assert_allclose((*found.mean, *found.std), (gray.mean(), gray.std()), rtol=1e-2)


def test_statistics_of_gray_pictures_are_repeated() -> None:
    images = random_picture(1, 12, 5, 1).reshape(3, 4, 5, 1)
    found = channel_statistics(dataset(images), 3)
    np.testing.assert_allclose(found.mean, [(images / 255).mean()] * 3, rtol=1e-5)
    np.testing.assert_allclose(found.std, [(images / 255).std()] * 3, rtol=1e-5)


def test_statistics_of_a_large_data_set_look_at_all_of_it() -> None:
    images = np.zeros((4000, 1, 1, 1), np.uint8)
    images[2000:] = 255
    found = channel_statistics(dataset(images), 1)
    assert found.mean[0] == pytest.approx(0.5)
    assert found.std[0] == pytest.approx(0.5)


def test_pictures_of_one_colour_have_a_deviation_above_zero() -> None:
    assert channel_statistics(dataset(np.full((3, 4, 4, 1), 7, np.uint8)), 1).std[0] > 0


def test_colour_axes_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    # Light of one colour, a little of another, hardly any of the third.
    light = rng.normal(size=(8, 30, 40, 3)) * (50, 20, 5)
    directions = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    images = np.clip(np.rint(128 + light @ directions), 0, 255).astype(np.uint8)
    axes = np.array(colour_axes(dataset(images)))
    covariance = np.cov(images.reshape(-1, 3).T / 255)
    np.testing.assert_allclose(axes.T @ axes, covariance @ covariance, atol=2e-6)
    lengths = np.linalg.norm(axes, axis=1)
    np.testing.assert_allclose(255 * np.sqrt(lengths), (50, 20, 5), rtol=0.1)
    np.testing.assert_allclose(axes @ axes.T, np.diag(lengths**2), atol=1e-7)


def test_gray_pictures_have_one_colour_axis() -> None:
    images = random_picture(0, 20 * 30, 7, 1).reshape(20, 30, 7, 1)
    axes = np.abs(colour_axes(dataset(images)))
    # The covariance is the variance everywhere: one eigenvalue, three times as large, along (1, 1, 1) / sqrt(3).
    np.testing.assert_allclose(axes[0], np.sqrt(3) * (images / 255).var(), rtol=1e-4)
    np.testing.assert_allclose(axes[1:], 0, atol=1e-6)
