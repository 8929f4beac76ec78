from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpunn.data.dataset import Dataset, EncodedDataset, Split
from gpunn.data.oversampling import oversampled, with_oversampling
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.tree.dataset import read_classes
from tests.data.pictures import write_tree

CLASSES = ("ant", "bee", "cat", "dog")


def numbered(labels: list[int]) -> ArrayDataset:
    """Picture number i has the pixel i."""
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1)
    return ArrayDataset(images, np.array(labels), CLASSES)


def pixels(dataset: Dataset, count: int) -> list[int]:
    return [int(dataset.load(index)[0, 0, 0]) for index in range(count)]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_every_class_comes_as_often_as_the_largest_and_every_sample_alike(labels: list[int]) -> None:
    dataset = numbered(labels)
    found = oversampled(dataset)
    largest = max(Counter(labels).values())
    assert Counter(found.labels.tolist()) == dict.fromkeys(set(labels), largest)
    shown = pixels(found, len(found))
    assert shown == sorted(shown)
    for label in set(labels):
        times = Counter(number for number in shown if labels[number] == label)
        assert set(times) == {number for number, own in enumerate(labels) if own == label}
        assert max(times.values()) - min(times.values()) <= 1
    assert [labels[number] for number in shown] == found.labels.tolist()


def test_repetitions_are_spread_over_the_class() -> None:
    found = oversampled(numbered([0] * 6 + [1] * 4))
    # Six of four: two of them twice, not next to each other.
    assert pixels(found, 12) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 9]


def test_image_files_stay_image_files(tmp_path: Path) -> None:
    dataset = read_classes(write_tree(tmp_path, {"ant": 1, "bee": 3}))
    found = oversampled(dataset)
    assert isinstance(found, EncodedDataset)
    assert [found.read(index) for index in range(6)] == [dataset.read(index) for index in (0, 0, 0, 1, 2, 3)]


def test_a_split_says_what_was_repeated_and_leaves_validation_alone() -> None:
    split = Split(numbered([0, 0, 0, 1]), numbered([0, 1, 1]), "insects")
    found = with_oversampling(split)
    assert len(found.train) == 6
    assert found.validation is split.validation
    assert found.description == "insects; 2 repeated, so that classes are even"
    assert found.train.fingerprint() != split.train.fingerprint()


def test_even_classes_stay_as_they_are() -> None:
    split = Split(numbered([0, 1]), numbered([0, 1]), "insects")
    assert with_oversampling(split) is split
