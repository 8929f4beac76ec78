from __future__ import annotations

import io
import os
import pickle
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.checking.keys import sample_key
from gpunn.data.dataset import DataWarning, EncodedDataset
from gpunn.data.loading.loader import Loader, WorkerKind
from gpunn.data.loading.order import epoch_order
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.opening import open_data, open_for_measuring
from gpunn.data.sources.shards import dataset as shards
from gpunn.data.sources.shards.dataset import ShardDataset, read_shards
from gpunn.errors import DataError
from tests.data.sources.shards.tars import Content, archive, jpeg, member, sample, write_shard


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))


def samples(labels: Iterable[int], first: int = 0) -> list[Content]:
    return [one for key, label in enumerate(labels, first) for one in sample(f"{key:06}", label, key)]


def undivided(path: Path) -> ShardDataset:
    found = read_shards(path).undivided
    assert isinstance(found, ShardDataset)
    return found


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_data(str(path), seed=0)
    return str(caught.value)


@pytest.mark.parametrize("names", [("train-0.tar", "val-0.tar"), ("x-train-0.tar", "x-validation-0.tar")])
def test_names_divide_the_shards_of_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    write_shard(tmp_path / "set" / names[0], samples([0, 1, 2, 0]))
    write_shard(tmp_path / "set" / names[1], samples([2, 1], 10))
    split = open_data(str(tmp_path / "set"), seed=0)
    assert split.train.labels.tolist() == [0, 1, 2, 0]
    assert split.validation.labels.tolist() == [2, 1]
    assert split.train.classes == split.validation.classes == ("0", "1", "2")
    assert open_for_measuring(str(tmp_path / "set")).labels.tolist() == [2, 1]
    assert sample_key(split.validation, "validation", 1) == f"{names[1]}/000011.jpg"


@pytest.mark.parametrize("val", ["val", "validation"])
def test_folders_divide_the_shards(tmp_path: Path, val: str) -> None:
    write_shard(tmp_path / "set" / "train" / "b.tar", samples([0, 1]))
    write_shard(tmp_path / "set" / "train" / "a.tar", samples([1, 1, 1], 5))
    write_shard(tmp_path / "set" / val / "a.tar", samples([0]))
    split = open_data(str(tmp_path / "set"), seed=0)
    assert isinstance(split.train, EncodedDataset)
    assert split.train.shards is not None
    assert split.train.labels.tolist() == [1, 1, 1, 0, 1]
    assert split.train.shards.tolist() == [0, 0, 0, 1, 1]
    assert split.train.name(3) == f"'{tmp_path}/set/train/b.tar/000000.jpg'"
    assert sample_key(split.validation, "validation", 0) == f"{val}/a.tar/000000.jpg"


def test_shards_that_nothing_divides_are_divided_by_the_seed(tmp_path: Path) -> None:
    for number in range(3):
        write_shard(tmp_path / "set" / f"{number}.tar", samples([0, 1] * 4, number * 8))
    prints = [open_data(str(tmp_path / "set"), seed=seed).train.fingerprint() for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]
    split = open_data(str(tmp_path / "set"), seed=1, validation_fraction=0.25)
    assert (len(split.train), len(split.validation)) == (18, 6)
    assert isinstance(split.train, EncodedDataset)
    assert sorted(epoch_order(split.train, 0, 0)) == list(range(18))
    assert len(open_for_measuring(str(tmp_path / "set"))) == 24


def test_one_shard_is_a_data_set(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "one.tar", samples([0, 1] * 4))
    assert len(open_data(str(path), seed=0, validation_fraction=0.5).train) == 4
    data = undivided(path)
    assert sample_key(data, "train", 2) == "one.tar/000002.jpg"


def test_training_shards_alone_are_not_measured_on(tmp_path: Path) -> None:
    write_shard(tmp_path / "set" / "train-0.tar", samples([0, 1] * 2))
    assert len(open_data(str(tmp_path / "set"), seed=0, validation_fraction=0.5).train) == 2
    with pytest.raises(DataError, match="no validation images"):
        open_for_measuring(str(tmp_path / "set"))


def test_pictures_are_read_where_they_lie(tmp_path: Path) -> None:
    gray = io.BytesIO()
    Image.new("L", (3, 2), 7).save(gray, "PNG")
    contents = [("deep/b.JPEG", jpeg(3)), ("deep/b.cls", b" 1\n"), ("a.png", gray.getvalue()), ("a.cls", b"+0")]
    data = undivided(write_shard(tmp_path / "one.tar", contents))
    assert [data.read(0), data.read(1)] == [jpeg(3), gray.getvalue()]
    np.testing.assert_array_equal(data.load(0), np.asarray(Image.open(io.BytesIO(jpeg(3)))))
    np.testing.assert_array_equal(data.load(1), np.full((2, 3, 3), 7))
    assert data.picture_shape == (None, None, 3)


def test_parts_of_a_sample_may_come_in_any_order_and_apart(tmp_path: Path) -> None:
    first, second, third = sample("1", 1, 1), sample("2", 0, 2, in_json=True), sample("3", 1, 3)
    contents = [second[1], third[1], first[0], ("notes.txt", b"-"), third[0], second[0], first[1], ("1.seg.png", b"-")]
    data = undivided(write_shard(tmp_path / "one.tar", contents))
    assert [data.name(index)[-6:-1] for index in range(3)] == ["1.jpg", "3.jpg", "2.jpg"]
    assert data.labels.tolist() == [1, 1, 0]
    assert [data.read(index) for index in range(3)] == [jpeg(1), jpeg(3), jpeg(2)]


def test_a_cls_file_goes_before_what_json_says(tmp_path: Path) -> None:
    contents = [("1.json", b'{"label": "cat"}'), ("1.jpg", jpeg(0)), ("1.cls", b"1"), *sample("2", 0)]
    assert undivided(write_shard(tmp_path / "one.tar", contents)).labels.tolist() == [1, 0]


def test_classes_have_the_names_of_the_file_beside_the_shards(tmp_path: Path) -> None:
    write_shard(tmp_path / "set" / "0.tar", samples([0, 1, 1]))
    (tmp_path / "set" / "classes.txt").write_text("ant\nbee\n")
    assert undivided(tmp_path / "set").classes == ("ant", "bee")
    (tmp_path / "set" / "classes.txt").write_text("ant\n")
    message = refusal(tmp_path / "set")
    assert "0.tar/000001.jpg' has label 1 (and 1 more samples); labels of 1 classes go from 0 to 0" in message


def test_a_label_that_training_does_not_know_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "set" / "train-0.tar", samples([0, 1]))
    write_shard(tmp_path / "set" / "val-0.tar", samples([0, 2]))
    assert "val-0.tar/000001.jpg' has label 2" in refusal(tmp_path / "set")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([("9.jpg", b"x"), ("9.cls", b"one\n")], ["'9.cls' holds 'one'", "not an integer", "classes.txt"]),
        ([("9.jpg", b"x"), ("9.cls", b"1.5")], ["'9.cls' holds '1.5'", "not an integer"]),
        ([("9.jpg", b"x"), ("9.cls", b"")], ["'9.cls' holds ''", "not an integer"]),
        ([("9.jpg", b"x"), ("9.cls", b"9" * 5000)], ["'9.cls'", "not an integer"]),
        ([("9.jpg", b"x"), ("9.cls", b"-1")], ["'9.cls'", "label -1", "negative"]),
        ([("9.jpg", b"x"), ("9.cls", b"10000000000")], ["'9.cls'", "label 10000000000"]),
        ([("9.jpg", b"x"), ("9.json", b'{"label": "3"}')], ["'9.json'", "'3'", "not an integer", "classes.txt"]),
        ([("9.jpg", b"x"), ("9.json", b'{"label": 1.0}')], ["'9.json'", "1.0", "not an integer"]),
        ([("9.jpg", b"x"), ("9.json", b'{"label": true}')], ["'9.json'", "True", "not an integer"]),
        ([("9.jpg", b"x"), ("9.json", b'{"label": -2}')], ["'9.json'", "label -2", "negative"]),
        ([("9.jpg", b"x"), ("9.json", b"{")], ["'9.json' is no JSON"]),
        ([("9.jpg", b"x"), ("9.json", b"[" * 100_000)], ["'9.json' is no JSON"]),
        ([("9.jpg", b"x"), ("9.json", b" " * (1 << 20) + b"{}")], ["'9.json' is larger than"]),
        ([("9.jpg", b"x"), ("./9.jpg", b"x")], ["'9.jpg' twice"]),
        ([("9.cls", b"1"), ("9.cls", b"1")], ["'9.cls' twice"]),
        ([("9.json", b'{"label": 1}'), ("9.json", b'{"label": 1}')], ["'9.json' twice"]),
        ([("9.jpg", b"x"), ("9.png", b"x")], ["'9.jpg' and '9.png' are pictures of one sample"]),
        ([member("9.jpg", kind=b"2", link="../secret.jpg")], ["'9.jpg' is a symbolic link"]),
        ([("../9.jpg", b"x")], ["'../9.jpg' leads out"]),
    ],
)
def test_samples_that_are_not_clear_are_refused(tmp_path: Path, extra: list[Content | bytes], words: list[str]) -> None:
    write_shard(tmp_path / "good.tar", samples([0, 1]))
    path = write_shard(tmp_path / "bad.tar", [*samples([0, 1]), *extra])
    before = sorted(tmp_path.rglob("*"))
    message = refusal(path)
    assert all(word in message for word in [str(path), *words])
    assert sorted(tmp_path.rglob("*")) == before


def test_incomplete_samples_are_passed_over_and_told(tmp_path: Path) -> None:
    incomplete = [
        ("7.jpg", b"x"),
        ("7.json", b'{"text": "no label"}'),
        ("8.png", b"x"),
        ("9.cls", b"1"),
        (".jpg", b"x"),
    ]
    path = write_shard(tmp_path / "one.tar", [*samples([0, 1]), *incomplete, ("meta.json", b"{}"), ("._1.jpg", b"-")])
    with pytest.warns(DataWarning) as caught:
        assert len(undivided(path)) == 2
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 3
    assert "one.tar': pictures without a label" in messages[0]
    assert ": 2, the first is '7.jpg'; they are passed over" in messages[0]
    assert "labels without a picture: 1, the first is '9'" in messages[1]
    assert "pictures without a name: 1, the first is '.jpg'" in messages[2]


def test_pictures_that_a_second_dot_hides_are_told(tmp_path: Path) -> None:
    """The mask of a sample that has a picture is none of them."""
    hidden = [one for key in ("face.001", "face.002") for one in sample(key, 1)]
    path = write_shard(tmp_path / "one.tar", [*samples([0, 1]), ("000000.mask.png", b"x"), *hidden])
    with pytest.warns(DataWarning) as caught:
        assert len(undivided(path)) == 2
    (message,) = [str(warning.message) for warning in caught]
    assert "one.tar': pictures with a second dot in their names" in message
    assert message.endswith(": 2, the first is 'face.001.jpg'; they are passed over")


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([], "its undivided shards hold no labelled pictures"),
        ([("n01440764.tar", b"x")], "its undivided shards hold no labelled pictures"),
        (samples([0, 0, 0]), "all training images belong to one class, '0'"),
    ],
)
def test_shards_that_cannot_be_learnt_from_are_refused(tmp_path: Path, contents: list[Content], words: str) -> None:
    assert words in refusal(write_shard(tmp_path / "one.tar", contents))


def test_compressed_shards_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train-0.tar.gz").write_bytes(b"\x1f\x8b\x08\x00")
    assert refusal(tmp_path / "set").endswith("use: gunzip")


@pytest.mark.parametrize("names", [("0.tar", "train/0.tar"), ("val/0.tar", "validation/0.tar", "train/0.tar")])
def test_shards_in_several_layouts_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_shard(tmp_path / "set" / name, samples([0, 1]))
    assert "shards lie in" in refusal(tmp_path / "set")


def test_shards_beside_class_folders_are_refused_by_name(tmp_path: Path) -> None:
    write_shard(tmp_path / "set" / "0.tar", samples([0, 1]))
    (tmp_path / "set" / "ant").mkdir()
    (tmp_path / "set" / "ant" / "1.jpg").write_bytes(jpeg(0))
    assert "class folders as well as tar shards" in refusal(tmp_path / "set")


def test_shards_without_a_half_beside_others_with_one_are_told(tmp_path: Path) -> None:
    for name in ("train-0.tar", "val-0.tar", "test-0.tar"):
        write_shard(tmp_path / "set" / name, samples([0, 1]))
    with pytest.warns(DataWarning, match=r"as others have: 1 \('test-0\.tar'\); they are passed over"):
        assert len(open_data(str(tmp_path / "set"), seed=0).train) == 2


def test_what_is_hidden_or_no_archive_is_no_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "set" / "0.tar", samples([0, 1]))
    (tmp_path / "set" / ".1.tar").write_bytes(b"left by a download")
    (tmp_path / "set" / "index.txt").write_text("0.tar")
    (tmp_path / "set" / "folder.tar").mkdir()
    assert len(undivided(tmp_path / "set")) == 2


def test_empty_and_unreadable_pictures_are_told(tmp_path: Path) -> None:
    path = write_shard(
        tmp_path / "one.tar", [*samples([0, 1]), ("7.jpg", b""), ("7.cls", b"0"), ("8.jpg", b"<html>"), ("8.cls", b"1")]
    )
    data = undivided(path)
    for index, words in ((2, r"7\.jpg': the file is empty"), (3, r"8\.jpg': not an image")):
        with pytest.raises(DataError, match=words):
            data.load(index)


def test_a_picture_that_memory_is_not_enough_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = undivided(write_shard(tmp_path / "one.tar", samples([0, 1])))
    monkeypatch.setattr(shards, "MAXIMUM_BYTES", 100)
    with pytest.raises(DataError, match="more than the limit of 100"):
        data.read(0)


def test_a_shard_that_changed_since_is_refused(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "one.tar", samples([0, 1]))
    data = undivided(path)
    path.write_bytes(archive(samples([1, 0, 1])))
    with pytest.raises(DataError, match=r"one\.tar' has changed since it was looked through"):
        data.read(0)
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        data.read(0)


def open_descriptors(path: Path) -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            continue
        if target.startswith(str(path)):
            yield target


def test_threads_read_right_while_few_shards_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "OPEN_SHARDS", 3)
    for number in range(12):
        write_shard(tmp_path / "set" / f"{number:02}.tar", samples([0, 1], 2 * number))
    assert max(read_in_threads(undivided(tmp_path / "set"), tmp_path)) <= 3 + 4
    assert list(open_descriptors(tmp_path)) == []


def read_in_threads(data: ShardDataset, folder: Path) -> list[int]:
    """Four threads read at random; how many files of the folder were open at the end of each."""
    together = threading.Barrier(4)

    def read(seed: int) -> int:
        together.wait()
        for index in np.random.default_rng(seed).integers(0, 24, 300).tolist():
            assert data.read(index) == jpeg(index)
        return len(list(open_descriptors(folder)))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(read, range(4)))
    assert len(list(open_descriptors(folder))) == 3
    return counts


def test_another_process_opens_the_shards_for_itself(tmp_path: Path) -> None:
    write_shard(tmp_path / "one.tar", samples([0, 1]))
    data = undivided(tmp_path / "one.tar")
    data.read(0)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.read(1) == jpeg(1)
    assert (copy.fingerprint(), copy.name(1)) == (data.fingerprint(), data.name(1))


def test_the_fingerprint_follows_content_not_place_or_date(tmp_path: Path) -> None:
    def of(folder: str, contents: list[list[Content]]) -> str:
        for number, shard in enumerate(contents):
            write_shard(tmp_path / folder / f"{number}.tar", shard)
        return undivided(tmp_path / folder).fingerprint()

    base = [samples([0, 1]), samples([1, 0], 5)]
    original = of("a", base)
    assert of("b", base) == original
    os.utime(tmp_path / "a" / "0.tar", (1, 1))
    assert undivided(tmp_path / "a").fingerprint() == original
    picture = bytearray(base[0][0][1])
    picture[len(picture) // 2] ^= 1
    renamed = [("000005.jpg", base[0][0][1]), ("000005.cls", b"0"), *base[0][2:]]
    changed = [
        of("pixels", [[("000000.jpg", bytes(picture)), *base[0][1:]], base[1]]),
        of("label", [[base[0][0], ("000000.cls", b"1"), *base[0][2:]], base[1]]),
        of("name", [renamed, base[1]]),
        of("division", [samples([0, 1]) + samples([1, 0], 5)]),
        of("order", base[::-1]),
    ]
    assert len({original, *changed}) == 6


def test_a_loader_s_processes_read_what_its_threads_read(tmp_path: Path) -> None:
    for number in range(3):
        write_shard(tmp_path / "set" / f"{number}.tar", samples([0, 1, 2], 3 * number))
    data = undivided(tmp_path / "set")
    preprocessing = Preprocessing(8, 8, 3, "stretch", 8, (0.5,) * 3, (0.5,) * 3)
    found = []
    kinds: tuple[WorkerKind, ...] = ("threads", "processes")
    for kind in kinds:
        loader = Loader(
            data,
            preprocessing,
            batch_size=4,
            seed=1,
            augmentation=Augmentation.for_photographs(),
            shuffle=True,
            workers=2,
            worker_kind=kind,
        )
        try:
            found.append(
                [(one.indices.tolist(), one.labels.tolist(), one.images.tobytes()) for one in loader.batches(3)]
            )
        finally:
            loader.close()
    assert found[0] == found[1]
    assert sorted(index for indices, _, _ in found[0] for index in indices) == list(range(9))
