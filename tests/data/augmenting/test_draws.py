from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.augmenting.draws import Draw, draw
from gpunn.random import Stream


def test_draws_are_philox_numbers_of_seed_epoch_and_index() -> None:
    draws = draw(11, 5, np.array([7, 123456789], dtype=np.int64))
    for row, index in zip(draws, (7, 123456789), strict=True):
        philox = np.random.Philox(key=[11, Stream.AUGMENTATION], counter=[0, index, 5, 0])
        raw = np.array([int(number) for number in philox.random_raw(len(Draw))], dtype=object)
        assert row.tolist() == [(number >> 11) / 2**53 for number in raw]


def test_every_change_has_numbers_of_its_own() -> None:
    assert sorted(Draw) == list(range(len(Draw)))
    draws = draw(0, 0, np.arange(4000, dtype=np.int64))
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.025)
    correlations = np.corrcoef(draws.T) - np.eye(len(Draw))
    assert np.abs(correlations).max() < 0.08


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}])
def test_another_seed_or_epoch_is_another_augmentation(other: dict[str, int]) -> None:
    indices = np.arange(3, dtype=np.int64)
    assert (draw(**{"seed": 0, "epoch": 0, **other}, indices=indices) != draw(0, 0, indices)).all()
