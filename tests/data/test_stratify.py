from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.stratify import stratified_split
from gpunn.errors import UsageError


def labels_of(*counts: int) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return np.random.default_rng(5).permutation(labels)


def test_every_class_is_divided_in_the_same_proportion() -> None:
    labels = labels_of(50, 10, 100)
    train, validation = stratified_split(labels, 0.2, seed=3)
    assert np.bincount(labels[validation]).tolist() == [10, 2, 20]
    assert np.bincount(labels[train]).tolist() == [40, 8, 80]


def test_each_sample_is_in_one_half_and_in_order() -> None:
    train, validation = stratified_split(labels_of(7, 13, 4), 0.3, seed=3)
    assert sorted([*train, *validation]) == list(range(24))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


@pytest.mark.parametrize(
    ("count", "fraction", "held_out"), [(1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (3, 0.99, 2), (5, 0.5, 2)]
)
def test_small_classes_keep_a_sample_to_train_on(count: int, fraction: float, held_out: int) -> None:
    labels = labels_of(count, 10)
    _, validation = stratified_split(labels, fraction, seed=0)
    assert int((labels[validation] == 0).sum()) == held_out


def test_the_seed_decides() -> None:
    labels = labels_of(40, 40)
    first, again, other = (stratified_split(labels, 0.25, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        stratified_split(labels_of(4, 4), fraction, seed=0)


def test_a_class_is_divided_alike_whatever_lies_between_its_samples() -> None:
    together = np.array([4] * 30 + [7] * 20, np.int32)
    shuffled = np.random.default_rng(0).permutation(together)
    held_out = {}
    for name, labels in (("together", together), ("shuffled", shuffled)):
        chosen = np.isin(np.arange(50), stratified_split(labels, 0.2, seed=3)[1])
        held_out[name] = {label: np.flatnonzero(chosen[labels == label]).tolist() for label in (4, 7)}
    assert held_out["together"] == held_out["shuffled"]


def test_no_samples_are_no_halves() -> None:
    assert [part.tolist() for part in stratified_split(np.zeros(0, np.int32), 0.2, seed=0)] == [[], []]
