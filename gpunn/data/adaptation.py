"""What has to be done to a data set's pictures before a network takes them, in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import ColourAxes
from gpunn.data.dataset import Dataset
from gpunn.data.decoding.colours import luma
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import DataError

_MEASURED_PICTURES = 500

_CROPPED_FROM = 8 / 7
"""The shorter side of a picture over the longer side of the input, where the centre is taken: 256 for 224."""


@dataclass(frozen=True)
class Adaptation:
    """A preprocessing, and a printable line for each thing it does to the pictures; none if they fit as they are."""

    preprocessing: Preprocessing
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of the pixels, one number a channel, on the scale where 255 is 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def adapt(
    picture_shape: tuple[int | None, int | None, int],
    input_shape: tuple[int, int, int],
    statistics: ChannelStatistics,
    *,
    resized: bool = False,
) -> Adaptation:
    """How pictures of one shape become the input of a network of another.

    Pictures of the network's proportions are stretched. Others, and those whose sizes differ or did, have their shorter
    side scaled to 8/7 of the input's longer side (256 for 224), and the centre is taken. Those that were brought to one
    size are not scaled again if the input has at least 3/4 of their height and width.

    Args:
        picture_shape: height, width (None where the pictures differ) and channels, as `Dataset.picture_shape`.
        input_shape: height, width and channels of the network's input.
        statistics: for the network's channels.
        resized: the pictures had several sizes before; the result serves those, too.

    Raises:
        DataError: there is no defined way from the one to the other.
    """
    check_adaptable(picture_shape, input_shape)
    height, width, channels = input_shape
    picture_height, picture_width, _ = picture_shape
    resize: Literal["stretch", "crop"] = "crop"
    resize_to = round(max(height, width) * _CROPPED_FROM)
    if picture_height is not None and picture_width is not None:
        if resized:
            if _is_window((height, width), (picture_height, picture_width)):
                resize_to = min(picture_height, picture_width)
        elif picture_height * width == picture_width * height:
            resize, resize_to = "stretch", max(height, width)
    preprocessing = Preprocessing(height, width, channels, resize, resize_to, statistics.mean, statistics.std)
    return Adaptation(preprocessing, describe_adaptation(picture_shape, preprocessing))


def describe_adaptation(
    picture_shape: tuple[int | None, int | None, int], preprocessing: Preprocessing
) -> tuple[str, ...]:
    """A printable line for each thing that a preprocessing does to pictures of that shape."""
    height, width, channels = picture_shape
    size = f"{preprocessing.height}x{preprocessing.width}"
    lines: list[str] = []
    known = height is not None and width is not None
    if preprocessing.resize == "stretch":
        if (height, width) != (preprocessing.height, preprocessing.width):
            lines.append(f"resize {f'{height}x{width} ' if known else ''}to {size}")
    elif height is not None and width is not None and min(height, width) == preprocessing.resize_to:
        if (height, width) != (preprocessing.height, preprocessing.width):
            lines.append(f"take the centre {size} of {height}x{width}")
    else:
        lines.append(f"resize the shorter side to {preprocessing.resize_to}, take the centre {size}")
    if channels < preprocessing.channels:
        lines.append("repeat gray to RGB")
    elif channels > preprocessing.channels:
        lines.append("RGB to gray by luma")
    return tuple(lines)


def _is_window(inside: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Whether one size is a little smaller, at most: windows that are much smaller would show details only."""
    covers = all(4 * part >= 3 * whole for part, whole in zip(inside, picture, strict=True))
    return covers and max(inside) <= min(picture)


def check_adaptable(picture_shape: tuple[int | None, int | None, int], input_shape: tuple[int, int, int]) -> None:
    """Raises DataError if pictures of one shape cannot become the input of a network of another."""
    pictures = "x".join("any" if size is None else str(size) for size in picture_shape)
    inputs = "x".join(str(size) for size in input_shape)
    if any(size is not None and size < 1 for size in (*picture_shape, *input_shape)):
        raise DataError(f"pictures of {pictures} cannot be fed to an input of {inputs}: sizes must be positive")
    if picture_shape[2] not in (1, 3) or input_shape[2] not in (1, 3):
        raise DataError(
            f"pictures of {pictures} cannot be fed to an input of {inputs}: only 1 (gray) and 3 (RGB) channels "
            "can be turned into each other; give the network an input of 1 or 3 channels"
        )


def measured_indices(samples: int) -> npt.NDArray[np.int64]:
    """The pictures by which a data set is measured: up to 500, spread evenly over it."""
    count = min(samples, _MEASURED_PICTURES)
    return np.arange(count, dtype=np.int64) * samples // max(count, 1)


def channel_statistics(dataset: Dataset, channels: int) -> ChannelStatistics:
    """Mean and deviation over the pictures of `measured_indices`, each with the same weight.

    Args:
        dataset: at least one picture.
        channels: 1 or 3, of the network's input; gray is repeated and RGB is reduced as `Preprocessing` does.

    Raises:
        DataError: a picture cannot be read.
    """
    means, squares = [], []
    for picture in _measured(dataset):
        shown = luma(picture) if picture.shape[2] == 3 and channels == 1 else picture
        scaled = shown.astype(np.float32) / np.float32(255)
        means.append(np.broadcast_to(scaled.mean(axis=(0, 1), dtype=np.float64), channels))
        squares.append(np.broadcast_to(np.square(scaled).mean(axis=(0, 1), dtype=np.float64), channels))
    mean = np.mean(means, axis=0)
    # One gray level is the least deviation that pixels can show; pictures of one colour have none.
    std = np.maximum(np.sqrt(np.maximum(np.mean(squares, axis=0) - mean**2, 0.0)), 1 / 255)
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))


def colour_axes(dataset: Dataset) -> ColourAxes:
    """The principal axes of RGB, for the `lighting` of an augmentation, over the pictures of `measured_indices`.

    They are the eigenvectors of the covariance of RGB, where 255 is 1, each as long as its eigenvalue (Krizhevsky,
    Sutskever and Hinton, 2012, section 4.1).

    Args:
        dataset: at least one picture; gray ones have one axis.

    Raises:
        DataError: a picture cannot be read.
    """
    means, products = [], []
    for picture in _measured(dataset):
        pixels = np.broadcast_to(picture, (*picture.shape[:2], 3)).reshape(-1, 3).astype(np.float32) / np.float32(255)
        means.append(pixels.mean(axis=0, dtype=np.float64))
        products.append((pixels.T @ pixels).astype(np.float64) / len(pixels))
    mean = np.mean(means, axis=0)
    variances, vectors = np.linalg.eigh(np.mean(products, axis=0) - np.outer(mean, mean))
    axes = (vectors * np.maximum(variances, 0.0)).T[::-1]
    first, second, third = ((float(red), float(green), float(blue)) for red, green, blue in axes)
    return first, second, third


def _measured(dataset: Dataset) -> Iterator[npt.NDArray[np.uint8]]:
    return map(dataset.load, measured_indices(len(dataset)).tolist())
