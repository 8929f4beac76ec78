from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.loader import Loader
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.tree.dataset import FolderDataset, read_classes
from gpunn.errors import DataError, UsageError
from tests.data.pictures import random_picture, write_tree

SAME_SIZE = Preprocessing(6, 7, 1, "stretch", 7, (0.5,), (0.5,))
SMALL_RGB = Preprocessing(8, 8, 3, "crop", 10, (0.5,) * 3, (0.5,) * 3)
EVERYTHING = Augmentation(shift=0.1, rotation=15.0, scale=(0.8, 1.2), mirror=0.5, crop_area=(0.3, 1.0))


def arrays(count: int) -> ArrayDataset:
    images = random_picture(0, count * 6, 7, 1).reshape(count, 6, 7, 1)
    return ArrayDataset(images, np.arange(count) % 3, ("ant", "bee", "cat"))


def loader(data: Any, **options: Any) -> Loader:
    return Loader(data, **{"preprocessing": SAME_SIZE, "batch_size": 4, "seed": 1, "workers": 2, **options})


def copied(batches: Iterable[Batch]) -> list[dict[str, npt.NDArray[Any]]]:
    return [
        {name: getattr(batch, name).copy() for name in ("images", "labels", "placement", "indices")}
        for batch in batches
    ]


def assert_equal(first: list[dict[str, npt.NDArray[Any]]], second: list[dict[str, npt.NDArray[Any]]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], name)


def loader_threads() -> int:
    return sum(thread.name.startswith("gpunn-loader") for thread in threading.enumerate())


@pytest.fixture
def tree(tmp_path: Path) -> FolderDataset:
    return read_classes(write_tree(tmp_path, {"ant": 7, "bee": 6, "cat": 5}))


class Gated:
    """A data set whose pictures are read only as far as `allowed`, and that notes which were asked for."""

    classes = ("ant", "bee")
    picture_shape = (6, 7, 1)
    targets: ClassVar[dict[str, npt.NDArray[Any]]] = {}

    def __init__(self, count: int, broken: dict[int, Exception] | None = None) -> None:
        self.labels = np.zeros(count, np.int32)
        self.broken = broken or {}
        self.loaded: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def __len__(self) -> int:
        return len(self.labels)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        self.loaded.append(index)
        self.gate.wait()
        if index in self.broken:
            raise self.broken[index]
        return np.full((6, 7, 1), index, np.uint8)

    def name(self, index: int) -> str:
        return f"picture {index}"

    def fingerprint(self) -> str:
        return ""


def test_an_epoch_without_shuffling_is_the_data_set_in_order() -> None:
    data = arrays(10)
    batches = copied(loader(data).batches(0))
    assert [len(batch["labels"]) for batch in batches] == [4, 4, 2]
    assert np.concatenate([batch["indices"] for batch in batches]).tolist() == list(range(10))
    np.testing.assert_array_equal(
        np.concatenate([batch["images"] for batch in batches]), np.stack([data.load(index) for index in range(10)])
    )
    assert np.concatenate([batch["labels"] for batch in batches]).tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert not any(batch["placement"].any() for batch in batches)
    types = {name: array.dtype for name, array in batches[0].items()}
    assert types == {"images": np.uint8, "labels": np.int32, "placement": np.int32, "indices": np.int64}
    assert batches[2]["placement"].shape == (2, 3)


def test_a_batch_larger_than_the_data_set_is_one_short_batch() -> None:
    source = loader(arrays(3), batch_size=1000)
    assert source.steps_per_epoch == 1
    assert [len(batch) for batch in source.batches(0)] == [3]


def test_no_batches_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="empty"):
        loader(ArrayDataset(np.zeros((0, 6, 7), np.uint8), np.zeros(0, int), ("ant",)))


@pytest.mark.parametrize(
    ("options", "words"), [({"batch_size": 0}, "batch size"), ({"workers": 0}, "workers"), ({"workers": -2}, "-2")]
)
def test_numbers_below_one_are_refused(options: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        loader(arrays(3), **options)


def test_shuffling_is_a_new_permutation_each_epoch() -> None:
    source = loader(arrays(50), shuffle=True)
    orders = [np.concatenate([batch["indices"] for batch in copied(source.batches(epoch))]) for epoch in (0, 1, 0)]
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert orders[0].tolist() == orders[2].tolist()
    assert orders[0].tolist() != orders[1].tolist()
    assert (orders[0] != np.arange(50)).sum() > 40
    other_seed = loader(arrays(50), shuffle=True, seed=2)
    assert np.concatenate([b["indices"] for b in copied(other_seed.batches(0))]).tolist() != orders[0].tolist()


def test_pictures_and_labels_follow_the_shuffled_indices() -> None:
    data = arrays(23)
    for batch in copied(loader(data, shuffle=True).batches(3)):
        np.testing.assert_array_equal(batch["images"], np.stack([data.load(i) for i in batch["indices"].tolist()]))
        np.testing.assert_array_equal(batch["labels"], batch["indices"] % 3)


@pytest.mark.parametrize("workers", [2, 3, 16])
def test_the_number_of_workers_changes_nothing(tree: FolderDataset, workers: int) -> None:
    options = {"preprocessing": SMALL_RGB, "augmentation": EVERYTHING, "shuffle": True}
    alone = copied(loader(tree, workers=1, **options).batches(2))
    assert_equal(copied(loader(tree, workers=workers, **options).batches(2)), alone)


@pytest.mark.parametrize("start", [0, 1, 3, 4, 5])
def test_a_restart_gives_the_rest_of_the_epoch(tree: FolderDataset, start: int) -> None:
    options = {"preprocessing": SMALL_RGB, "augmentation": EVERYTHING, "shuffle": True}
    whole = copied(loader(tree, **options).batches(1))
    assert len(whole) == 5
    assert_equal(copied(loader(tree, **options).batches(1, start)), whole[start:])


@pytest.mark.parametrize("start", [-1, 4])
def test_a_start_outside_the_epoch_is_refused_at_once(start: int) -> None:
    with pytest.raises(UsageError, match=f"batch {start}"):
        loader(arrays(10)).batches(0, start)


def test_a_picture_does_not_depend_on_its_place_in_the_epoch(tree: FolderDataset) -> None:
    pictures = []
    for shuffle, batch_size in ((False, 18), (True, 4)):
        options = {"preprocessing": SMALL_RGB, "augmentation": EVERYTHING}
        batches = copied(loader(tree, shuffle=shuffle, batch_size=batch_size, **options).batches(4))
        found = {
            index: (image.tobytes(), place.tolist())
            for batch in batches
            for index, image, place in zip(batch["indices"], batch["images"], batch["placement"], strict=True)
        }
        pictures.append(found)
    assert pictures[0] == pictures[1]


def test_augmentation_is_new_in_each_epoch(tree: FolderDataset) -> None:
    source = loader(tree, preprocessing=SMALL_RGB, augmentation=EVERYTHING, batch_size=18)
    first, second = (copied(source.batches(epoch))[0]["images"] for epoch in (0, 1))
    assert all((one != other).any() for one, other in zip(first, second, strict=True))


def test_mirroring_is_told_and_left_to_the_device() -> None:
    data = arrays(40)
    batches = copied(loader(data, augmentation=Augmentation(mirror=0.5)).batches(0))
    placement = np.concatenate([batch["placement"] for batch in batches])
    assert set(placement[:, 2].tolist()) == {0, 1}
    assert not placement[:, :2].any()
    images = np.concatenate([batch["images"] for batch in batches])
    np.testing.assert_array_equal(images, np.stack([data.load(index) for index in range(40)]))


def test_evaluation_sees_pictures_as_preprocessing_makes_them(tree: FolderDataset) -> None:
    for batch in copied(loader(tree, preprocessing=SMALL_RGB).batches(0)):
        expected = [SMALL_RGB.apply(tree.load(index)) for index in batch["indices"].tolist()]
        np.testing.assert_array_equal(batch["images"], np.stack(expected))


def test_random_crops_show_parts_of_the_picture() -> None:
    picture = np.repeat(np.arange(64, dtype=np.uint8)[:, np.newaxis], 64, axis=1) * 4
    data = ArrayDataset(np.stack([picture] * 30), np.zeros(30, int), ("ant",))
    preprocessing = Preprocessing(16, 16, 1, "stretch", 16, (0.5,), (0.5,))
    options = {"preprocessing": preprocessing, "augmentation": Augmentation(crop_area=(0.1, 0.2)), "batch_size": 30}
    images = copied(loader(data, **options).batches(0))[0]["images"].astype(int)
    span = images[:, -1, 0, 0] - images[:, 0, 0, 0]
    # A crop of 10% to 20% of the area, 3:4 to 4:3, is 0.27 to 0.52 of the height.
    assert (span > 0.2 * 256).all()
    assert (span < 0.53 * 256).all()
    assert np.ptp(images[:, 0, 0, 0]) > 80


def test_a_truncated_file_is_named_in_place_of_its_batch(tree: FolderDataset, tmp_path: Path) -> None:
    path = tmp_path / "bee" / "2.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    batches = loader(tree, preprocessing=SMALL_RGB, workers=3).batches(0)
    assert [next(batches).indices.tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(DataError, match=r"bee/2\.jpg': (?i:.*truncated)"):
        next(batches)


def test_the_first_of_several_faults_in_a_batch_is_told() -> None:
    data = Gated(8, {5: ValueError("worn"), 6: DataError("picture 6: gone"), 7: ValueError("torn")})
    for workers in (1, 2, 4):
        with pytest.raises(DataError, match="picture 5: ValueError: worn"):
            copied(loader(data, workers=workers).batches(0))


def test_errors_that_do_not_name_their_picture_are_given_its_name() -> None:
    for broken, words in (
        (DataError("no such thing"), "picture 2: no such thing"),
        (DataError("picture 2: gone"), "^picture 2: gone$"),
        (KeyError("x"), "picture 2: KeyError: 'x'"),
        (RuntimeError(), "picture 2: RuntimeError: "),
    ):
        with pytest.raises(DataError, match=words):
            copied(loader(Gated(4, {2: broken})).batches(0))


def test_pictures_that_are_none_are_refused_by_name() -> None:
    class Flat(Gated):
        def load(self, index: int) -> npt.NDArray[np.uint8]:
            return np.zeros((6, 7), np.uint8)

    with pytest.raises(DataError, match="picture 0: a picture must be"):
        copied(loader(Flat(4)).batches(0))


def test_reading_ahead_is_bounded() -> None:
    data = Gated(400)
    batches = loader(data, workers=3).batches(0)
    for step in range(3):
        next(batches)
        # A batch is one job here; two jobs for each of three workers are six batches after the one asked for.
        assert max(data.loaded) < 4 * (step + 1 + 6)
    batches.close()


def test_a_batch_is_valid_until_the_next_but_one_is_asked_for() -> None:
    source = loader(arrays(60), shuffle=True)
    expected = copied(source.batches(0))
    batches = source.batches(0)
    before = next(batches)
    for step in range(1, source.steps_per_epoch):
        current = next(batches)
        assert_equal(copied([before, current]), expected[step - 1 : step + 1])
        before = current


def test_buffers_are_used_again() -> None:
    source = loader(arrays(80))
    addresses = {batch.images.ctypes.data for epoch in range(3) for batch in source.batches(epoch)}
    # The batch before, the one in use, and two jobs for each of two workers.
    assert len(addresses) == 6


def test_two_epochs_of_one_loader_may_run_side_by_side() -> None:
    source = loader(arrays(30), shuffle=True)
    expected = [copied(source.batches(epoch)) for epoch in (0, 1)]
    found: list[list[dict[str, npt.NDArray[Any]]]] = [[], []]
    for pair in zip(source.batches(0), source.batches(1), strict=True):
        for half, batch in zip(found, pair, strict=True):
            half.extend(copied([batch]))
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other)


def test_the_time_waited_is_counted_anew_for_each_epoch() -> None:
    data = Gated(8)
    source = loader(data)
    data.gate.clear()
    threading.Timer(0.05, data.gate.set).start()
    copied(source.batches(0))
    assert source.timings.waited_seconds > 0.0
    source.batches(1)
    assert source.timings.waited_seconds == 0.0


def test_part_of_a_batch_is_a_view() -> None:
    batch = next(loader(arrays(8)).batches(0))
    part = batch.part(1, 3)
    assert len(part) == 2
    assert part.indices.tolist() == [1, 2]
    assert np.shares_memory(part.images, batch.images)


def test_targets_travel_with_their_pictures() -> None:
    """In every order, however many threads fill a batch."""
    count = 11
    images = np.zeros((count, 6, 7, 1), np.uint8)
    targets = {"angle": np.linspace(0, 1, count)[:, None], "parts": np.arange(count * 6).reshape(count, 2, 3)}
    data = ArrayDataset(images, targets=targets)
    for epoch in range(2):
        for batch in loader(data, shuffle=True, workers=3).batches(epoch):
            assert {name: values.dtype for name, values in batch.targets.items()} == {"angle": "f8", "parts": "i8"}
            np.testing.assert_array_equal(batch.targets["angle"], targets["angle"][batch.indices])
            np.testing.assert_array_equal(batch.part(1, 3).targets["parts"], targets["parts"][batch.indices[1:3]])
