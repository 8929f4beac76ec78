from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.loading.order import MIXED_SHARDS, epoch_order
from gpunn.data.selection import select
from tests.data.loading.datasets import Files


def in_shards(folder: Path, counts: list[int]) -> Files:
    return Files(sum(counts), folder, shards=np.repeat(np.arange(len(counts), dtype=np.int32), counts))


def positions(order: npt.NDArray[np.int64], shards: npt.NDArray[np.int32], shard: int) -> npt.NDArray[np.int64]:
    """When the samples of a shard come."""
    return np.flatnonzero(shards[order] == shard)


@pytest.mark.parametrize("counts", [[40], [5, 0, 1, 7, 3], [3] * 30, [1] * 9, [20, 1, 1, 1, 20, 2, 2, 2, 9, 4]])
def test_each_shard_is_read_from_its_start_to_its_end_and_few_at_a_time(tmp_path: Path, counts: list[int]) -> None:
    data = in_shards(tmp_path, counts)
    for epoch in range(3):
        order = epoch_order(data, 7, epoch)
        assert sorted(order.tolist()) == list(range(sum(counts)))
        spans = []
        for shard, count in enumerate(counts):
            when = positions(order, data.shards, shard)
            samples = order[when].tolist()
            assert samples == sorted(samples)
            if count:
                spans.append((when[0], when[-1]))
        open_at_once = [sum(first <= now <= last for first, last in spans) for now in range(len(data))]
        assert max(open_at_once) <= MIXED_SHARDS


def test_shards_are_mixed_with_each_other_and_come_in_another_order_each_epoch(tmp_path: Path) -> None:
    data = in_shards(tmp_path, [50] * 24)
    first, second = (data.shards[epoch_order(data, 7, epoch)] for epoch in (0, 1))
    for shards in (first, second):
        # In a row of equally many samples of eight shards, seven of eight neighbours are of another shard.
        assert 0.8 < np.mean(shards[1:] != shards[:-1]) < 0.95
        assert [len(np.unique(shards[start : start + 400])) for start in (0, 400, 800)] == [8, 8, 8]
    assert set(first[:400].tolist()) != set(second[:400].tolist())
    # Which shards come together is drawn anew.
    assert len(set(first[:400].tolist()) & set(second[:400].tolist())) < 8


def test_samples_of_a_shard_need_not_lie_together(tmp_path: Path) -> None:
    data = in_shards(tmp_path, [10, 10, 10])
    chosen = np.random.default_rng(0).permutation(30)
    selection = select(data, chosen)
    order = epoch_order(selection, 7, 0)
    assert sorted(order.tolist()) == list(range(30))
    for shard in range(3):
        samples = order[positions(order, data.shards[chosen], shard)].tolist()
        assert samples == sorted(samples)


def test_every_place_is_as_likely_for_every_sample(tmp_path: Path) -> None:
    data = Files(6, tmp_path)
    orders = np.stack([epoch_order(data, 7, epoch) for epoch in range(1200)])
    counts = np.stack([np.bincount(orders[:, place], minlength=6) for place in range(6)])
    # 200 expected; five standard deviations are 65.
    assert abs(counts - 200).max() < 65


def test_the_order_depends_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    for data in (Files(40, tmp_path), in_shards(tmp_path, [10] * 4)):
        orders = {(seed, epoch): epoch_order(data, seed, epoch).tolist() for seed in (1, 2) for epoch in (0, 1)}
        assert len({tuple(order) for order in orders.values()}) == 4
        assert all(epoch_order(data, *key).tolist() == order for key, order in orders.items())
