"""A data set by the name or the path that a person gives."""

from __future__ import annotations

from pathlib import Path

from gpunn.data.dataset import Split
from gpunn.data.names import printable
from gpunn.data.sources.arrays import NPZ_ARRAYS, read_npz
from gpunn.data.sources.digits import read_digits
from gpunn.data.sources.folder import LAYOUTS, read_folder
from gpunn.errors import DataError


def open_data(
    name_or_path: str, *, seed: int, validation_fraction: float = 0.2, keep_empty_classes: bool = False
) -> Split:
    """The data set called "digits", in a folder of images, or in an .npz file.

    Args:
        name_or_path: "digits" (a folder of that name is "./digits"), or a path.
        seed: divides a folder that has no division of its own.
        validation_fraction: the part of such a folder that is held out.
        keep_empty_classes: let a class folder without images keep its label instead of refusing it.

    Raises:
        DataError: nothing of the kind is there, or it is refused; the text says what is accepted.
        UsageError: `validation_fraction` is not between 0 and 1.
    """
    if name_or_path == "digits":
        return read_digits()
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return read_folder(
            path, seed=seed, validation_fraction=validation_fraction, keep_empty_classes=keep_empty_classes
        )
    if path.is_file() and path.suffix.lower() == ".npz":
        return read_npz(path)
    found = "is neither a folder nor an .npz file" if path.exists() else "does not exist"
    raise DataError(
        f"data '{printable(name_or_path)}': '{printable(path.absolute())}' {found}. Accepted are: digits; "
        f"a folder laid out as {LAYOUTS}; an .npz file with the arrays {', '.join(NPZ_ARRAYS)}"
    )
