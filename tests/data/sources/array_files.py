"""What the tests of files of arrays put into them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.data.pictures import random_picture

IMAGES = random_picture(0, 6 * 4, 5).reshape(6, 4, 5, 3)
LABELS = np.array([0, 2, 1, 1, 0, 2])


def both_halves(**changes: Any) -> dict[str, Any]:
    """The arrays of a data set by their names; None as a change leaves one out."""
    arrays = {
        "train_images": IMAGES,
        "train_labels": LABELS,
        "validation_images": IMAGES[:3],
        "validation_labels": LABELS[:3],
    } | changes
    return {name: array for name, array in arrays.items() if array is not None}


class Trap:
    """Unpickled, it leaves a file "sprung"."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("sprung", "w"))
