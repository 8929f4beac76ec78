from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

from gpunn.data.dataset import Split, check_same_classes, content_hash
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import DataError


def dataset(labels: list[int], classes: tuple[str, ...] = ("cat", "dog")) -> ArrayDataset:
    return ArrayDataset(np.zeros((len(labels), 2, 2), np.uint8), np.array(labels, dtype=int), classes)


def test_a_split_keeps_what_it_is_given() -> None:
    train, validation = dataset([0, 1]), dataset([1])
    split = Split(train, validation, "toy data")
    assert (split.train, split.validation, split.description) == (train, validation, "toy data")


@pytest.mark.parametrize(
    ("train", "validation", "words"),
    [
        (dataset([]), dataset([0]), "no training images"),
        (dataset([0, 1]), dataset([]), "no validation images"),
        (dataset([1, 1, 1]), dataset([0, 1]), "all training images belong to one class, 'dog'"),
        (dataset([0, 0], ("cat",)), dataset([0], ("cat",)), "one class, 'cat'"),
    ],
)
def test_halves_that_cannot_be_trained_on_are_refused(
    train: ArrayDataset, validation: ArrayDataset, words: str
) -> None:
    with pytest.raises(DataError, match=f"toy data: .*{words}"):
        Split(train, validation, "toy data")


def test_the_difference_between_the_classes_is_told() -> None:
    with pytest.raises(DataError, match=re.escape("only in training: 'cat', 'eel'; only in validation: 'bee'")):
        check_same_classes(["ant", "cat", "dog", "eel"], ["ant", "bee", "dog"], "here")
    with pytest.raises(DataError, match="order is not the same"):
        check_same_classes(["ant", "bee"], ["bee", "ant"], "here")
    with pytest.raises(DataError, match="only in validation: 'owl'"):
        Split(dataset([0, 1]), dataset([0], ("cat", "dog", "owl")), "toy data")


def test_the_hash_is_sha256_over_lengths_and_parts() -> None:
    framed = (2).to_bytes(8, "little") + b"ab" + (1).to_bytes(8, "little") + b"c"
    assert content_hash([b"ab", b"c"]) == hashlib.sha256(framed).hexdigest()
    assert content_hash([b"ab", b"c"]) != content_hash([b"a", b"bc"])


def test_data_without_classes_need_no_two_of_them() -> None:
    halves = [ArrayDataset(np.zeros((count, 2, 2), np.uint8), targets={"y": np.zeros(count)}) for count in (3, 1)]
    assert Split(halves[0], halves[1], "values").train.targets.keys() == {"y"}
