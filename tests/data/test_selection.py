from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpunn.data.dataset import EncodedDataset
from gpunn.data.selection import select
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.tree.dataset import read_classes
from tests.data.pictures import random_picture, write_tree

IMAGES = random_picture(0, 5 * 4, 3, 1).reshape(5, 4, 3, 1)
DATA = ArrayDataset(IMAGES, [0, 1, 2, 1, 0], ("ant", "bee", "cat"), targets={"angle": np.arange(5.0)})


def test_a_selection_has_the_samples_of_its_indices_in_their_order() -> None:
    chosen = select(DATA, np.array([3, 0, 3]))
    assert len(chosen) == 3
    assert chosen.labels.tolist() == [1, 0, 1]
    assert chosen.targets["angle"].tolist() == [3.0, 0.0, 3.0]
    assert (chosen.classes, chosen.picture_shape) == (("ant", "bee", "cat"), (4, 3, 1))
    for position, index in enumerate((3, 0, 3)):
        np.testing.assert_array_equal(chosen.load(position), IMAGES[index])
        assert chosen.name(position) == f"image {index} of the array"


@pytest.mark.parametrize("other", [[0, 1, 3], [1, 0], [0, 1, 1]])
def test_its_fingerprint_tells_samples_order_and_repetition(other: list[int]) -> None:
    assert select(DATA, np.array([0, 1])).fingerprint() == select(DATA, np.array([0, 1])).fingerprint()
    assert select(DATA, np.array([0, 1])).fingerprint() != select(DATA, np.array(other)).fingerprint()


def test_image_files_stay_image_files(tmp_path: Path) -> None:
    folder = read_classes(write_tree(tmp_path, {"ant": 2, "bee": 2}))
    chosen = select(folder, np.array([2, 1]))
    assert isinstance(chosen, EncodedDataset)
    assert chosen.read(0) == (tmp_path / "bee" / "0.jpg").read_bytes()
    assert chosen.shards is None
    assert not isinstance(select(DATA, np.array([0])), EncodedDataset)
