"""What becomes of pictures that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.data.loading import division
from gpunn.data.loading.batch import BatchLayout
from gpunn.data.loading.failure import Failure
from gpunn.data.loading.loader import Loader
from gpunn.data.loading.readable import readable
from gpunn.errors import DataError
from tests.data.loading.datasets import SAME_SIZE, Files, assert_equal, copied, pixels

BROKEN = {1: "damaged", 2: "damaged", 9: "damaged", 15: "damaged"}


def loader(folder: Path, trouble: Any, **options: Any) -> Loader:
    settings = {"batch_size": 5, "seed": 1, "workers": 2, "unreadable": "skip", "soft_labels": True}
    return Loader(Files(16, folder, trouble), SAME_SIZE, **{**settings, **options})


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_skipped_pictures_leave_a_shorter_batch_that_names_them(
    tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch, started: list[Any]
) -> None:
    # Two pictures a job: places in the part are not places in the batch.
    monkeypatch.setattr(division, "JOB_BYTES", 2 * 6 * 7)
    source = loader(tmp_path, {**BROKEN, 15: "damaged"}, worker_kind=kind, workers=1, batch_size=6)
    found = []
    for batch in source.batches(0):
        indices = batch.indices.tolist()
        assert len(batch) == len(indices) == len(batch.placement)
        np.testing.assert_array_equal(batch.images, np.stack([pixels(index) for index in indices]))
        np.testing.assert_array_equal(batch.labels, batch.indices % 3)
        np.testing.assert_array_equal(batch.targets["soft_labels"], np.eye(3)[batch.indices % 3])
        np.testing.assert_allclose(batch.targets["angle"][:, 0], batch.indices / 15)
        found.append((indices, [(failure.position, failure.index) for failure in batch.skipped]))
        assert all(failure.reason.startswith(f"picture {failure.index}: ") for failure in batch.skipped)
    source.close()
    assert found == [([0, 3, 4, 5], [(1, 1), (2, 2)]), ([6, 7, 8, 10, 11], [(3, 9)]), ([12, 13, 14], [(3, 15)])]
    assert source.timings.images == 12


def test_skipping_moves_no_picture_to_another_batch(tmp_path: Path) -> None:
    sound, broken = (
        [batch["indices"].tolist() for batch in copied(loader(tmp_path, trouble, shuffle=True).batches(4))]
        for trouble in ({}, BROKEN)
    )
    assert broken == [[index for index in batch if index not in BROKEN] for batch in sound]
    assert loader(tmp_path, BROKEN).steps_per_epoch == 4


def test_a_restart_skips_the_same_pictures(tmp_path: Path) -> None:
    source = loader(tmp_path, BROKEN, shuffle=True)
    expected = copied(source.batches(2))
    for start in range(5):
        assert_equal(copied(source.batches(2, start)), expected[start:])


def test_a_batch_of_which_nothing_can_be_read_is_empty(tmp_path: Path) -> None:
    batches = list(loader(tmp_path, dict.fromkeys(range(4, 10), "damaged")).batches(0))
    assert [len(batch) for batch in batches] == [4, 0, 5, 1]
    assert [failure.index for failure in batches[1].skipped] == [5, 6, 7, 8, 9]


def test_empty_batches_are_passed_over_unless_there_are_no_others(tmp_path: Path) -> None:
    batches = readable(loader(tmp_path, dict.fromkeys(range(4, 10), "damaged")).batches(0))
    assert [len(batch) for batch in batches] == [4, 5, 1]
    with pytest.raises(DataError, match="not one of the pictures can be read; picture 0: "):
        list(readable(loader(tmp_path, dict.fromkeys(range(16), "damaged")).batches(0)))
    assert list(readable([])) == []


def test_an_unreadable_picture_is_raised_unless_it_is_to_be_skipped(tmp_path: Path) -> None:
    batches = loader(tmp_path, BROKEN, unreadable="raise", batch_size=8).batches(0)
    with pytest.raises(DataError, match=r"^picture 1: "):
        next(batches)


def test_workers_stay_when_a_picture_is_refused(tmp_path: Path, started: list[Any]) -> None:
    source = loader(tmp_path, BROKEN, unreadable="raise", worker_kind="processes", workers=1)
    with pytest.raises(DataError, match=r"^picture 1: "):
        next(source.batches(0))
    (tmp_path / "calm").touch()
    assert np.concatenate([batch["indices"] for batch in copied(source.batches(0))]).tolist() == list(range(16))
    source.close()
    assert len(started) == 1


@pytest.mark.parametrize("failed", [[], [0], [6], [0, 6], [2, 3], [5, 1, 0], [0, 1, 2, 3, 4, 5, 6]])
def test_what_is_left_of_a_batch_keeps_its_order(failed: list[int]) -> None:
    layout = BatchLayout(8, (2, 3, 1), (("parts", "<f4", (2,)),))
    whole = layout.batches(np.arange(layout.bytes, dtype=np.int64).astype(np.uint8))[0]
    batch = whole.part(0, 7)
    expected = {name: np.delete(values, failed, axis=0) for name, values in copied([batch])[0].items()}
    left = batch.without([Failure(position, 100 + position, "torn") for position in failed])
    assert len(left) == 7 - len(failed)
    assert [failure.position for failure in left.skipped] == sorted(failed)
    assert_equal(copied([left]), [expected])
    assert np.shares_memory(left.images, whole.images) or not len(left)
    assert batch.skipped == ()
