"""What to say of a place that holds no data set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from gpunn.data.names import printable
from gpunn.data.sources.arrays import NPZ_ARRAYS
from gpunn.data.sources.tree.scan import is_image


def nothing_found(text: str, path: Path, names: Iterable[str], layouts: Iterable[str]) -> str:
    """Lines for a person: what is there, what may have been meant, and what is accepted; each line is printable.

    Args:
        text: what was given as the data.
        path: what it leads to, where no data lie.
        names: of the data sets that have one.
        layouts: what is accepted at a path.
    """
    names = list(names)
    near = get_close_matches(text.lower(), names, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    first = f"data '{printable(text)}': '{printable(path.absolute())}' {_what_is_there(path)}{meant}"
    return "\n  - ".join([f"{first} Accepted are:", f"a name: {', '.join(names)}", *layouts])


def _what_is_there(path: Path) -> str:
    if not os.path.lexists(path):
        return "does not exist"
    if not os.path.exists(path):
        return "is a link that leads nowhere"
    if path.is_dir():
        return _what_a_folder_holds(path)
    if path.suffix.lower() == ".npy":
        return (
            "is a single array; put it as train_images.npy beside train_labels.npy into a folder and give the folder, "
            f"or give an .npz file with the arrays {', '.join(NPZ_ARRAYS)}"
        )
    if is_image(os.fsencode(path)):
        return "is a single image; give a folder of class folders"
    return "is a file of none of the kinds"


def _what_a_folder_holds(path: Path) -> str:
    with os.scandir(os.fsencode(path)) as entries:
        visible = [entry.name for entry in entries if not entry.name.startswith(b".")]
    if not visible:
        return "is an empty folder"
    images = sorted(filter(is_image, visible))
    if images:
        return (
            f"has images that lie in no class folder, such as '{printable(images[0])}': sort them into one folder a "
            "class"
        )
    return "holds none of what is accepted"
