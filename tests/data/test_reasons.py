from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.reasons import named_reason, reason
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import DataError

DATASET = ArrayDataset(np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int32), ("only",), "shelf")


@pytest.mark.parametrize(
    ("error", "why", "named"),
    [
        (DataError("it is empty"), "it is empty", "image 1 of shelf: it is empty"),
        (DataError("image 1 of shelf: it is empty"), "it is empty", "image 1 of shelf: it is empty"),
        (DataError("cannot open image 1 of shelf"), "cannot open image 1 of shelf", "cannot open image 1 of shelf"),
        (DataError("image 0 of shelf: gone"), "image 0 of shelf: gone", "image 1 of shelf: image 0 of shelf: gone"),
        (
            MemoryError(),
            "there is not enough memory to decode it",
            "image 1 of shelf: there is not enough memory to decode it",
        ),
        (ValueError("a\nb\x1b"), r"ValueError: a\nb\x1b", r"image 1 of shelf: ValueError: a\nb\x1b"),
        (OSError("image 1 of shelf"), "OSError: image 1 of shelf", "image 1 of shelf: OSError: image 1 of shelf"),
    ],
)
def test_a_reason_is_printable_and_names_the_picture_once(error: Exception, why: str, named: str) -> None:
    assert reason(DATASET, 1, error) == why
    assert named_reason(DATASET, 1, error) == named
