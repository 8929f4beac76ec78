"""Data sets that lie in memory as arrays, and the .npz files that hold them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import content_hash
from gpunn.data.names import printable
from gpunn.data.sources.class_names import numbered_classes
from gpunn.data.sources.halves import Halves
from gpunn.data.sources.labels import checked_labels
from gpunn.data.targets import checked_targets
from gpunn.errors import DataError

NPZ_ARRAYS = ("train_images", "train_labels", "validation_images", "validation_labels")


class ArrayDataset:
    """Pictures of one size, held in memory."""

    def __init__(
        self,
        images: npt.NDArray[Any],
        labels: npt.NDArray[Any] | None = None,
        classes: tuple[str, ...] = (),
        source: str = "the array",
        targets: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        """Checks and keeps the arrays; pixels and targets are not copied.

        Args:
            images: uint8, (N, H, W, C) with C = 1 or 3, or (N, H, W) for one channel.
            labels: integers of any width, (N,), from 0 to len(classes) - 1; None for images that have targets only.
            classes: the names of the classes, by label.
            source: where the arrays come from, for messages.
            targets: values that outputs are compared with, (N, ...) by name.

        Raises:
            DataError: the arrays do not fit the above; a wrong label or target is named with its sample.
        """
        self._source = source
        self._images = _checked_images(np.asarray(images), source)
        if labels is None and (classes or not targets):
            raise DataError(f"{source}: images without labels need targets, and have no classes")
        self._labels = (
            np.zeros(len(self._images), np.int32)
            if labels is None
            else checked_labels(np.asarray(labels), len(self._images), len(classes), source)
        )
        self._targets = checked_targets(targets or {}, len(self._images), source)
        self._classes = tuple(classes)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        return self._labels

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return self._targets

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        _, height, width, channels = self._images.shape
        return height, width, channels

    def __len__(self) -> int:
        return len(self._images)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        picture: npt.NDArray[np.uint8] = self._images[index]
        return picture

    def name(self, index: int) -> str:
        return f"image {index} of {self._source}"

    def fingerprint(self) -> str:
        shape = "x".join(str(size) for size in self._images.shape)
        return content_hash(
            [
                shape.encode("ascii"),
                np.ascontiguousarray(self._images).reshape(-1).data,
                self._labels.astype("<i4").tobytes(),
                *(name.encode("utf-8", "surrogateescape") for name in self._classes),
                *(
                    part
                    for name, values in self._targets.items()
                    for part in (f"{name} {values.dtype.str} {values.shape}".encode(), values.tobytes())
                ),
            ]
        )


def _checked_images(images: npt.NDArray[Any], source: str) -> npt.NDArray[np.uint8]:
    if images.dtype != np.uint8:
        raise DataError(f"{source}: the images are {images.dtype}; give uint8 pixels from 0 to 255")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape[1:]:
        raise DataError(
            f"{source}: the images have shape {images.shape}; give (N, H, W) or (N, H, W, C) with 1 or 3 channels"
        )
    return images


def is_npz(path: Path) -> bool:
    """Whether it is a file with that suffix."""
    return path.suffix.lower() == ".npz" and path.is_file()


def read_npz(path: Path) -> Halves:
    """The data set in an .npz file with the arrays train_images, train_labels, validation_images, validation_labels.

    The classes are named "0", "1", ... up to the largest label of the training samples. Nothing is unpickled.

    Raises:
        DataError: the file cannot be read, lacks an array, or its arrays do not fit together.
    """
    source = f"'{printable(path)}'"
    arrays = _read_arrays(path, source)
    classes = numbered_classes(arrays["train_labels"], source)
    train, validation = (
        ArrayDataset(arrays[f"{half}_images"], arrays[f"{half}_labels"], classes, f"{half}_images in {source}")
        for half in ("train", "validation")
    )
    return Halves(source, train, validation)


def _read_arrays(path: Path, source: str) -> Mapping[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise DataError(f"{source} holds a single array; give an .npz file with {', '.join(NPZ_ARRAYS)}")
            missing = [name for name in NPZ_ARRAYS if name not in loaded]
            if missing:
                raise DataError(
                    f"{source} lacks the array {', '.join(missing)}; it holds {', '.join(loaded.files) or 'nothing'}"
                )
            return {name: loaded[name] for name in NPZ_ARRAYS}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{source} is not a readable .npz file: {printable(str(error))}") from error
