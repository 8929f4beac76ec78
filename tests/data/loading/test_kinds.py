"""The same batches, whoever reads them and wherever an epoch begins."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.loading import division
from gpunn.data.loading.loader import FEW, Loader
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.tree.dataset import FolderDataset, read_classes
from gpunn.errors import UsageError
from tests.data.loading.datasets import SAME_SIZE, Files, Unloadable, assert_equal, copied, pixels
from tests.data.pictures import write_tree

SMALL_RGB = Preprocessing(8, 8, 3, "crop", 10, (0.5,) * 3, (0.5,) * 3)
EVERYTHING = Augmentation(shift=0.1, rotation=15.0, scale=(0.8, 1.2), mirror=0.5, crop_area=(0.3, 1.0))


@pytest.fixture
def tree(tmp_path: Path) -> FolderDataset:
    return read_classes(write_tree(tmp_path, {"ant": 7, "bee": 6, "cat": 5}))


def rgb_loader(tree: FolderDataset, **options: Any) -> Loader:
    settings = {"batch_size": 4, "seed": 1, "shuffle": True, "augmentation": EVERYTHING, "soft_labels": True}
    return Loader(tree, SMALL_RGB, **{**settings, **options})


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_neither_number_nor_kind_of_workers_nor_a_restart_changes_a_batch(
    tree: FolderDataset, kind: str, workers: int, monkeypatch: pytest.MonkeyPatch, started: list[Any]
) -> None:
    # Several jobs a batch: two pictures each.
    monkeypatch.setattr(division, "JOB_BYTES", 2 * 8 * 8 * 3)
    expected = copied(rgb_loader(tree, workers=1, worker_kind="threads").batches(3))
    source = rgb_loader(tree, workers=workers, worker_kind=kind)
    for start in range(source.steps_per_epoch + 1):
        assert_equal(copied(source.batches(3, start)), expected[start:])
    source.close()
    assert len(started) == (workers if kind == "processes" else 0)


def test_an_epoch_may_be_left_anywhere_and_gone_on_with(tree: FolderDataset, started: list[Any]) -> None:
    source = rgb_loader(tree, workers=1, worker_kind="processes")
    expected = copied(rgb_loader(tree, workers=1).batches(2))
    for end in range(source.steps_per_epoch):
        batches = source.batches(2)
        first = [copied([next(batches)])[0] for _ in range(end)]
        batches.close()
        assert_equal([*first, *copied(source.batches(2, end))], expected)
    source.close()
    assert len(started) == 1


def test_processes_read_image_files_and_their_targets(tmp_path: Path, started: list[Any]) -> None:
    data = Files(20, tmp_path)
    source = Loader(data, SAME_SIZE, batch_size=6, seed=1, shuffle=True, workers=2, worker_kind="processes")
    for batch in source.batches(0):
        indices = batch.indices.tolist()
        np.testing.assert_array_equal(batch.images, np.stack([pixels(index) for index in indices]))
        assert batch.labels.tolist() == [index % 3 for index in indices]
        np.testing.assert_array_equal(batch.targets["angle"], data.targets["angle"][indices])
    source.close()
    assert sorted(data.readers()) == list(range(20))
    assert set(data.readers().values()) <= {process.pid for process in started}


def test_processes_share_pictures_in_memory(started: list[subprocess.Popen[bytes]]) -> None:
    images = np.stack([pixels(index) for index in range(300)])
    data = ArrayDataset(images, np.arange(300) % 2, ("ant", "bee"))
    source = Loader(data, SAME_SIZE, batch_size=100, seed=1, workers=1, worker_kind="processes")
    np.testing.assert_array_equal(np.concatenate([batch["images"] for batch in copied(source.batches(0))]), images)
    source.close()
    assert len(started) == 1


def test_more_jobs_than_a_pipe_holds(started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "JOB_BYTES", 1)
    count = 5000
    images = np.random.default_rng(0).integers(0, 256, (count, 2, 2, 1), dtype=np.uint8)
    data = ArrayDataset(images, np.zeros(count, int), ("ant",))
    preprocessing = Preprocessing(2, 2, 1, "stretch", 2, (0.5,), (0.5,))
    source = Loader(data, preprocessing, batch_size=count, seed=1, workers=2, worker_kind="processes")
    np.testing.assert_array_equal(next(source.batches(0)).images, images)
    source.close()
    # The second batch is given up while most of its jobs are not even sent.
    source = Loader(data, preprocessing, batch_size=2500, seed=1, workers=1, worker_kind="processes")
    for _ in range(2):
        batches = source.batches(0)
        np.testing.assert_array_equal(next(batches).images, images[:2500])
        batches.close()
    source.close()
    assert len(started) == 3


def test_image_files_go_to_processes_and_pictures_in_memory_to_threads(tmp_path: Path) -> None:
    many = Files(FEW, tmp_path)
    in_memory = ArrayDataset(np.zeros((FEW, 6, 7), np.uint8), np.zeros(FEW, int), ("ant",))
    for data, kind in ((many, "processes"), (Files(FEW - 1, tmp_path), "threads"), (in_memory, "threads")):
        assert Loader(data, SAME_SIZE, batch_size=4, seed=1).worker_kind == kind


def test_what_other_processes_cannot_have_is_read_by_threads_unless_processes_are_asked_for(tmp_path: Path) -> None:
    data = Files(FEW, tmp_path)
    vars(data)["lock"] = (item for item in ())
    assert Loader(data, SAME_SIZE, batch_size=4, seed=1).worker_kind == "threads"
    with pytest.raises(UsageError, match=r"cannot have this data set: .*generator.*use threads"):
        Loader(data, SAME_SIZE, batch_size=4, seed=1, worker_kind="processes")


def test_what_processes_cannot_unpack_is_told_by_the_first_batch(tmp_path: Path, started: list[Any]) -> None:
    source = Loader(Unloadable(9, tmp_path), SAME_SIZE, batch_size=4, seed=1, workers=1, worker_kind="processes")
    with pytest.raises(LookupError, match="not at home here") as caught:
        next(source.batches(0))
    assert "in a worker process" in caught.value.__notes__[0]
    source.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"worker_kind": "fibres"}, "auto, threads or processes, not 'fibres'"),
        ({"unreadable": "replace"}, "raise or skip, not 'replace'"),
        ({"timeout": 0.0}, "positive number of seconds, got 0"),
        ({"timeout": float("nan")}, "positive number of seconds, got nan"),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Loader(Files(9, tmp_path), SAME_SIZE, **{"batch_size": 4, "seed": 1, **options})


def test_soft_labels_are_of_the_classes(tmp_path: Path) -> None:
    source = Loader(Files(9, tmp_path), SAME_SIZE, batch_size=4, seed=1, soft_labels=True)
    for batch in source.batches(0):
        assert batch.targets["soft_labels"].dtype == np.float32
        np.testing.assert_array_equal(batch.targets["soft_labels"], np.eye(3)[batch.indices % 3])


def test_soft_labels_need_classes(tmp_path: Path) -> None:
    for data in (Files(9, tmp_path, classes=()), Files(9, tmp_path)):
        data.targets["soft_labels"] = np.zeros((9, 3))
        with pytest.raises(UsageError, match="soft labels need"):
            Loader(data, SAME_SIZE, batch_size=4, seed=1, soft_labels=True)
