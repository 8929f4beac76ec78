"""Why a picture cannot be used, in words for its owner."""

from __future__ import annotations

from gpunn.data.dataset import Dataset
from gpunn.data.names import printable
from gpunn.errors import DataError


def reason(dataset: Dataset, index: int, error: Exception) -> str:
    """Why, without the name of the picture in front.

    Args:
        dataset: what holds the picture.
        index: its place there.
        error: what was raised when it was read.
    """
    match error:
        case DataError():
            return str(error).removeprefix(f"{dataset.name(index)}: ")
        case MemoryError():
            return "there is not enough memory to decode it"
        case _:
            return f"{type(error).__name__}: {printable(str(error))}"


def named_reason(dataset: Dataset, index: int, error: Exception) -> str:
    """The name of the picture, and why; a text that names it is left as it is.

    Args:
        dataset: what holds the picture.
        index: its place there.
        error: what was raised when it was read.
    """
    name = dataset.name(index)
    if isinstance(error, DataError) and name in str(error):
        return str(error)
    return f"{name}: {reason(dataset, index, error)}"
