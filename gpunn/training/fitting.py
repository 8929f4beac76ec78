"""A network of the right size for a data set, and what has to be done to the pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpunn.data.adaptation import adapt, channel_statistics, check_adaptable, describe_adaptation, measured_indices
from gpunn.data.dataset import Dataset
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.selection import select
from gpunn.errors import DataError
from gpunn.geometry import Shape
from gpunn.models import Model
from gpunn.network import Network


@dataclass(frozen=True)
class Fitting:
    """A network made for a data set, and how its images become the network's input."""

    network: Network
    preprocessing: Preprocessing
    lines: tuple[str, ...]


def fit_network(chosen: Model, dataset: Dataset, image_size: int | None = None, *, resized: bool = False) -> Fitting:
    """The model for the images and classes of a data set.

    A flexible model takes images as they are, where all have one size and always had; any other keeps its own input,
    and the images are resized, gray is repeated to RGB, and RGB becomes gray by luma.

    Raises:
        ShapeError: when `image_size` does not fit the model.
        DataError: when the images cannot be adapted.
    """
    height, width, channels = dataset.picture_shape
    shape: Shape = chosen.image
    if chosen.flexible and not resized and height is not None and width is not None:
        shape = (height, width, channels)
    if image_size is not None:
        shape = (image_size, image_size, shape[2])
    network = chosen.build(shape, len(dataset.classes))
    H, W, C = shape
    adaptation = adapt(dataset.picture_shape, (H, W, C), channel_statistics(dataset, C), resized=resized)
    return Fitting(network, adaptation.preprocessing, adaptation.lines)


def readable_sample(dataset: Dataset) -> Dataset:
    """The pictures by which a data set is measured, and which can be read.

    A run that leaves out what cannot be read is measured by these before it begins.

    Raises:
        DataError: when none can be read.
    """
    sample = measured_indices(len(dataset)).tolist()
    readable = [index for index in sample if _is_readable(dataset, index)]
    if not readable:
        raise DataError(
            f"of {len(sample)} training images none can be read, such as {dataset.name(sample[0])}; "
            "gpunn data check tells why"
        )
    return select(dataset, np.array(readable, np.int64))


def _is_readable(dataset: Dataset, index: int) -> bool:
    try:
        dataset.load(index)
    except DataError:
        return False
    return True


def adaptation_lines(dataset: Dataset, preprocessing: Preprocessing) -> tuple[str, ...]:
    """What a preprocessing that was made for other pictures does to these, in words.

    Raises:
        DataError: when the pictures cannot be adapted.
    """
    check_adaptable(dataset.picture_shape, (preprocessing.height, preprocessing.width, preprocessing.channels))
    return describe_adaptation(dataset.picture_shape, preprocessing)
