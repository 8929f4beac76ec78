from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.loading.division import Division

PHOTOGRAPH = 224 * 224 * 3


@pytest.mark.parametrize("samples", [1, 7, 8, 9, 23])
@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_batches_are_the_order_cut_in_pieces(samples: int, batch_size: int) -> None:
    division = Division(samples, batch_size, 42)
    order = np.random.default_rng(0).permutation(samples)
    batches = [division.indices(order, step) for step in range(division.steps)]
    assert np.concatenate(batches).tolist() == order.tolist()
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= batch_size
    own = [division.indices(None, step) for step in range(division.steps)]
    assert np.concatenate(own).tolist() == list(range(samples))


@pytest.mark.parametrize(
    ("size", "picture_bytes", "parts"),
    [
        (32, PHOTOGRAPH, [8] * 4),
        (128, PHOTOGRAPH, [8] * 16),
        (256, PHOTOGRAPH, [8] * 32),
        (8, PHOTOGRAPH, [8]),
        (10, PHOTOGRAPH, [5, 5]),
        (3, 10 * PHOTOGRAPH, [1, 1, 1]),
        (3, 1000 * PHOTOGRAPH, [1, 1, 1]),
        (64, 784, [64]),
        (10_000, 784, [1666, 1666, 1667, 1667, 1667, 1667]),
        (1, 1, [1]),
    ],
)
def test_a_batch_in_even_parts_of_bounded_bytes(size: int, picture_bytes: int, parts: list[int]) -> None:
    found = list(Division(100_000, size, picture_bytes).parts(size))
    assert sorted(last - first for first, last in found) == sorted(parts)
    assert [first for first, _ in found] == [0, *(last for _, last in found[:-1])]
    assert found[-1][1] == size


@pytest.mark.parametrize(
    ("batch_size", "workers", "ahead"),
    # A batch of 256 photographs is 32 jobs, one of 32 is 4, one of 8 is 1.
    [(256, 1, 2), (256, 32, 2), (256, 33, 3), (32, 4, 2), (32, 5, 3), (32, 32, 16), (8, 1, 2), (8, 3, 6)],
)
def test_as_many_batches_are_read_ahead_as_give_each_worker_two_jobs(batch_size: int, workers: int, ahead: int) -> None:
    assert Division(1_000_000, batch_size, PHOTOGRAPH).ahead(workers) == ahead
    assert Division(1_000_000, batch_size, PHOTOGRAPH).slots(workers) == ahead + 2


def test_a_short_epoch_takes_less_memory() -> None:
    # The batch before, of the last epoch, and all of this one.
    assert [Division(samples, 256, PHOTOGRAPH).slots(2) for samples in (10, 256, 257, 600, 800, 5000)] == [
        2,
        2,
        3,
        4,
        4,
        4,
    ]
