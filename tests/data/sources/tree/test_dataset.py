from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpunn.data.dataset import DataWarning
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.tree.dataset import FolderDataset, read_classes, read_folder
from gpunn.errors import DataError, UsageError
from tests.data.keeping.clock import tick
from tests.data.pictures import write_jpeg, write_tree


def names_by_class(data: FolderDataset) -> dict[str, list[bytes]]:
    return {
        name: [path for path, label in zip(data.paths, data.labels, strict=True) if label == number]
        for number, name in enumerate(data.classes)
    }


def refusal(root: Path, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        read_folder(root, Splitting(seed=0, **options))
    return str(error.value)


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_a_tree_with_train_and_val_is_taken_as_it_is(tmp_path: Path, validation: str) -> None:
    write_tree(tmp_path / "train", {"cat": 3, "ant": 2})
    write_tree(tmp_path / validation, {"cat": 1, "ant": 2}, first_seed=50)
    split = read_folder(tmp_path, Splitting(seed=0))
    assert split.train.classes == split.validation.classes == ("ant", "cat")
    assert split.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert split.validation.labels.tolist() == [0, 0, 1]
    assert "5 training and 3 validation images of 2 classes" in split.description
    expected = np.asarray(Image.open(tmp_path / "train" / "cat" / "1.jpg"))
    np.testing.assert_array_equal(split.train.load(3), expected)
    assert split.train.name(3) == f"'{tmp_path}/train/cat/1.jpg'"
    assert split.train.picture_shape == (None, None, 3)


def test_a_tree_without_a_split_is_split_by_the_seed(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 10, "bee": 20})
    first, again, other = (read_folder(tmp_path, Splitting(seed=seed, validation_fraction=0.3)) for seed in (1, 1, 2))
    assert np.bincount(first.validation.labels).tolist() == [3, 6]
    assert np.bincount(first.train.labels).tolist() == [7, 14]
    found = [half.name(index) for half in (first.train, first.validation) for index in range(len(half))]
    everything = [f"'{tmp_path}/ant/{n}.jpg'" for n in range(10)] + [f"'{tmp_path}/bee/{n}.jpg'" for n in range(20)]
    assert sorted(found) == sorted(everything)
    assert first.validation.fingerprint() == again.validation.fingerprint() != other.validation.fingerprint()
    assert "30% held out by seed 1" in first.description


def test_a_folder_train_without_val_is_split_too(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 5, "bee": 5})
    split = read_folder(tmp_path, Splitting(seed=1))
    assert split.train.classes == ("ant", "bee")
    assert (len(split.train), len(split.validation)) == (8, 2)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_tree(tmp_path, {"train": 5, "bus": 5})
    assert read_folder(tmp_path, Splitting(seed=1)).train.classes == ("bus", "train")


def test_the_fraction_is_checked(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 5, "bee": 5})
    with pytest.raises(UsageError, match="fraction"):
        read_folder(tmp_path, Splitting(seed=1, validation_fraction=1.5))


def test_only_visible_images_count_at_any_depth(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 2, "ant/deep/deeper": 1, "bee": 1, ".cache": 3, "bee/.thumbnails": 2})
    for name in ("ant/notes.txt", "ant/._0.jpg", "bee/0.jpg.bak", "bee/jpg", "stray.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    shutil.copy(tmp_path / "ant/0.jpg", tmp_path / "bee/LOUD.JPEG")
    assert names_by_class(read_classes(tmp_path)) == {
        "ant": [b"ant/0.jpg", b"ant/1.jpg", b"ant/deep/deeper/0.jpg"],
        "bee": [b"bee/0.jpg", b"bee/LOUD.JPEG"],
    }


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm"])
def test_the_suffixes_of_images(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / f"a.{suffix}").write_bytes(b"")
    assert tuple(read_classes(tmp_path).paths) == (f"ant/a.{suffix}".encode(),)


def test_classes_and_files_are_sorted_by_their_bytes(tmp_path: Path) -> None:
    write_tree(tmp_path, dict.fromkeys(("b", "B", "a", "Z", "ä", "10", "9", "_"), 1))
    for name in ("b.jpg", "B.jpg", "ä.jpg", "10.jpg", "9.jpg"):
        write_jpeg(tmp_path / "a" / name, 0)
    data = read_classes(tmp_path)
    assert data.classes == ("10", "9", "B", "Z", "_", "a", "b", "ä")
    expected = [b"a/0.jpg", b"a/10.jpg", b"a/9.jpg", b"a/B.jpg", b"a/b.jpg", "a/ä.jpg".encode()]
    assert names_by_class(data)["a"] == expected


@pytest.fixture
def odd_tree(tmp_path: Path) -> Path:
    """Names with bytes that are no UTF-8, line breaks, 255 bytes, and two normal forms of one word."""
    composed, decomposed = (unicodedata.normalize(form, "é").encode() for form in ("NFC", "NFD"))
    folders = [b"odd\xff", b"two\nlines", composed, decomposed, b"y" * 255]
    files = [b"\xfe\xff.jpg", b"a\nb\t.jpg", b"x" * 251 + b".jpg", composed + b".jpg", decomposed + b".jpg"]
    for seed, folder in enumerate(folders):
        full = os.path.join(os.fsencode(tmp_path), folder)
        os.mkdir(full)
        for name in files:
            write_jpeg(os.path.join(full, name), seed)
    return tmp_path


def test_odd_names_load_and_are_escaped(odd_tree: Path) -> None:
    data = read_classes(odd_tree)
    assert data.classes == ("e\u0301", "odd\\xff", "two\\nlines", "y" * 255, "é")
    assert len(data) == 25
    for index in range(len(data)):
        assert data.load(index).shape == (12, 16, 3)
        assert data.name(index).isprintable()
    assert "/two\\nlines/a\\nb\\t.jpg'" in data.name(10)
    forms = [data.paths[index] for index in (1, 3)]
    assert forms == ["e\u0301/e\u0301.jpg".encode(), "e\u0301/é.jpg".encode()]
    assert len({data.load(index).tobytes() for index in (0, 5, 10, 15, 20)}) == 5
    with open(os.path.join(data.root, data.paths[10]), "wb") as stream:
        stream.write(b"nothing")
    with pytest.raises(DataError, match=r"/two\\nlines/a\\nb\\t.jpg': not an image"):
        data.load(10)


def test_the_order_is_the_same_on_every_locale(odd_tree: Path) -> None:
    program = (
        "import sys; from gpunn.data.sources.tree.dataset import read_classes; data = read_classes(sys.argv[1]);"
        "print(ascii(data.classes), list(data.paths), data.fingerprint())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, odd_tree],
            env={**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", **locale},
            capture_output=True,
            check=True,
        ).stdout
        for locale in ({"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "1"})
    }
    assert len(outputs) == 1


def test_empty_class_folders_are_listed(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 2, "bee": 0, "cat": 2, "two\nlines": 0})
    (tmp_path / "bee" / "notes.txt").write_text("no image")
    message = refusal(tmp_path)
    assert "no images (.bmp .gif" in message
    assert "in the class folders 'bee', 'two\\nlines'; fill or remove them" in message
    assert "--set keep_empty_classes=true" in message
    assert "ant" not in message.replace(str(tmp_path), "")


def test_empty_class_folders_may_keep_their_labels(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 5, "bee": 0, "cat": 5})
    split = read_folder(tmp_path, Splitting(seed=0, keep_empty_classes=True))
    assert split.train.classes == ("ant", "bee", "cat")
    assert np.bincount(split.train.labels).tolist() == [4, 0, 4]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "holds no class folders; accepted are train/CLASS/IMAGE"),
        ({"ant": 0, "bee": 0}, "no images"),
        ({"ant": 5}, "one class, 'ant'"),
    ],
)
def test_no_samples_and_one_class_are_refused(tmp_path: Path, counts: dict[str, int], words: str) -> None:
    write_tree(tmp_path, counts)
    assert words in refusal(tmp_path)


def test_no_samples_are_refused_where_classes_may_be_empty(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 0, "bee": 0})
    assert "no training images" in refusal(tmp_path, keep_empty_classes=True)


def test_images_beside_the_class_folders_are_no_classes(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "lone.jpg", 0)
    assert "no class folders" in refusal(tmp_path)


def test_classes_of_train_and_val_that_differ_are_told(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 1, "bee": 1, "cat": 1})
    write_tree(tmp_path / "val", {"ant": 1, "cow": 1})
    assert "only in training: 'bee', 'cat'; only in validation: 'cow'" in refusal(tmp_path)


def test_an_empty_class_of_val_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 1, "bee": 1})
    write_tree(tmp_path / "val", {"ant": 1, "bee": 0})
    assert "val': no images" in refusal(tmp_path)


def test_val_without_class_folders_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 1, "bee": 1})
    (tmp_path / "val").mkdir()
    write_jpeg(tmp_path / "val" / "0001.jpg", 0)
    assert "val' holds no class folders" in refusal(tmp_path)


def test_val_and_validation_together_are_refused(tmp_path: Path) -> None:
    for half in ("train", "val", "validation"):
        write_tree(tmp_path / half, {"ant": 1, "bee": 1})
    assert "both" in refusal(tmp_path)


def test_loops_of_links_end_and_each_real_folder_is_read_once(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 2, "ant/deep": 1, "bee": 2, "bee/deep": 1})
    (tmp_path / "ant/deep/up").symlink_to(tmp_path / "ant")
    (tmp_path / "ant/root").symlink_to(tmp_path)
    (tmp_path / "ant/other").symlink_to(tmp_path / "bee/deep")
    (tmp_path / "ant/self").symlink_to("self")
    with pytest.warns(DataWarning) as caught:
        data = read_classes(tmp_path)
    assert names_by_class(data) == {
        "ant": [b"ant/0.jpg", b"ant/1.jpg", b"ant/deep/0.jpg"],
        "bee": [b"bee/0.jpg", b"bee/1.jpg", b"bee/deep/0.jpg"],
    }
    messages = sorted(str(warning.message) for warning in caught)
    assert [message.split("'")[1].removeprefix(f"{tmp_path}/") for message in messages] == [
        "ant/deep/up",
        "ant/other",
        "ant/root",
        "ant/self",
    ]
    assert all("read once" in messages[number] for number in (0, 1, 2))
    assert "leads nowhere" in messages[3]


def test_links_to_folders_and_files_elsewhere_are_followed(tmp_path: Path) -> None:
    store = write_tree(tmp_path / "store", {"first": 2, "second": 2})
    root = tmp_path / "root"
    (root / "bee").mkdir(parents=True)
    (root / "ant").symlink_to(store / "first")
    (root / "bee" / "more").symlink_to(store / "second")
    (root / "bee" / "one.jpg").symlink_to(store / "first" / "0.jpg")
    data = read_classes(root)
    assert names_by_class(data) == {
        "ant": [b"ant/0.jpg", b"ant/1.jpg"],
        "bee": [b"bee/more/0.jpg", b"bee/more/1.jpg", b"bee/one.jpg"],
    }


def test_a_folder_that_two_classes_link_to_goes_to_the_first(tmp_path: Path) -> None:
    store = write_tree(tmp_path / "store", {"shared": 2})
    root = write_tree(tmp_path / "root", {"ant": 1, "bee": 1})
    for name in ("bee", "ant"):
        (root / name / "more").symlink_to(store / "shared")
    with pytest.warns(DataWarning, match="bee/more' leads to a folder that is read already"):
        data = read_classes(root)
    assert names_by_class(data) == {"ant": [b"ant/0.jpg", b"ant/more/0.jpg", b"ant/more/1.jpg"], "bee": [b"bee/0.jpg"]}


def test_two_classes_that_are_one_folder_are_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {"bee": 2})
    (tmp_path / "ant").symlink_to("bee")
    with pytest.warns(DataWarning, match="read once"):
        assert "no images" in refusal(tmp_path)


def test_val_may_be_a_link_to_train(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 2, "bee": 1})
    (tmp_path / "val").symlink_to("train")
    split = read_folder(tmp_path, Splitting(seed=0))
    assert len(split.train) == len(split.validation) == 3


def test_fifos_and_broken_links_are_passed_over(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 1, "bee": 1})
    os.mkfifo(tmp_path / "ant" / "pipe.jpg")
    (tmp_path / "ant" / "to-pipe.jpg").symlink_to("pipe.jpg")
    (tmp_path / "bee" / "gone.jpg").symlink_to("nowhere.jpg")
    with pytest.warns(DataWarning) as caught:
        data = read_classes(tmp_path)
    assert tuple(data.paths) == (b"ant/0.jpg", b"bee/0.jpg")
    text = "\n".join(sorted(str(warning.message) for warning in caught))
    assert "ant/pipe.jpg' is not a regular file" in text
    assert "ant/to-pipe.jpg' is not a regular file" in text
    assert "bee/gone.jpg' is a link that leads nowhere: No such file" in text


def test_a_socket_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, {"ant": 1, "bee": 1})
    # The path that a socket is bound to may have a hundred bytes or so.
    monkeypatch.chdir(tmp_path / "ant")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("door.jpg")
        with pytest.warns(DataWarning, match="ant/door.jpg' is not a regular file; it is passed over"):
            data = read_classes(tmp_path)
    assert tuple(data.paths) == (b"ant/0.jpg", b"bee/0.jpg")


def test_links_in_a_ring_end(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 1, "bee": 1})
    for first, second in (("ring", "back"), ("back", "ring")):
        (tmp_path / first).symlink_to(second)
        (tmp_path / "ant" / first).symlink_to(second)
    with pytest.warns(DataWarning) as caught:
        data = read_classes(tmp_path)
    assert tuple(data.paths) == (b"ant/0.jpg", b"bee/0.jpg")
    assert data.classes == ("ant", "bee")
    assert sorted(str(warning.message).split("/")[-1] for warning in caught) == [
        f"{name}' is a link that leads nowhere: Too many levels of symbolic links; it is passed over"
        for name in ("back", "ring")
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="the super-user may read every folder")
def test_a_folder_without_permission_is_passed_over(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 1, "ant/locked": 3, "bee": 1})
    (tmp_path / "ant/locked").chmod(0)
    try:
        with pytest.warns(DataWarning, match="ant/locked' cannot be read: Permission denied; it is passed over"):
            data = read_classes(tmp_path)
    finally:
        (tmp_path / "ant/locked").chmod(0o755)
    assert tuple(data.paths) == (b"ant/0.jpg", b"bee/0.jpg")


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes the system refuse to list a folder, which the super-user could list whatever its mode."""
    scandir = os.scandir
    refused: set[bytes] = set()

    def guarded(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        if path in refused:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    return lambda folder: refused.add(os.fsencode(folder))


def test_an_unreadable_folder_is_passed_over(tmp_path: Path, unreadable: Callable[[Path], None]) -> None:
    write_tree(tmp_path, {"ant": 1, "ant/locked": 3, "bee": 1})
    unreadable(tmp_path / "ant/locked")
    with pytest.warns(DataWarning, match="ant/locked' cannot be read: Permission denied"):
        data = read_classes(tmp_path)
    assert tuple(data.paths) == (b"ant/0.jpg", b"bee/0.jpg")


def test_an_unreadable_class_counts_as_empty(tmp_path: Path, unreadable: Callable[[Path], None]) -> None:
    write_tree(tmp_path, {"ant": 1, "bee": 1})
    unreadable(tmp_path / "ant")
    with pytest.warns(DataWarning, match="Permission denied"):
        assert "class folders 'ant'" in refusal(tmp_path)


def test_an_unreadable_root_is_refused(tmp_path: Path, unreadable: Callable[[Path], None]) -> None:
    write_tree(tmp_path, {"ant": 1, "bee": 1})
    unreadable(tmp_path)
    assert f"folder '{tmp_path}' cannot be read: Permission denied" in refusal(tmp_path)


def test_a_sound_tree_gives_no_warning(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 2, "bee/deep/deeper": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_classes(tmp_path)


def test_class_names_that_print_alike_are_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {"odd\\xff": 1, os.fsdecode(b"odd\xff"): 1})
    assert "several class folders have the same printed name, 'odd\\xff'; give them names" in refusal(tmp_path)


def test_the_fingerprint_follows_names_sizes_and_labels_not_place_or_date(tmp_path: Path) -> None:
    first = write_tree(tmp_path / "first", {"ant": 2, "bee": 2})
    original = read_classes(first).fingerprint()
    copy = shutil.copytree(first, tmp_path / "copy")
    os.utime(copy / "ant" / "0.jpg", (1, 1))
    assert read_classes(copy).fingerprint() == original

    found = {original}
    with (copy / "ant" / "0.jpg").open("ab") as stream:
        stream.write(b"\0")
    found.add(read_classes(copy).fingerprint())
    (copy / "ant" / "0.jpg").rename(copy / "ant" / "7.jpg")
    found.add(read_classes(copy).fingerprint())
    (copy / "ant").rename(copy / "asp")
    found.add(read_classes(copy).fingerprint())
    assert len(found) == 4

    data = read_classes(copy)
    swapped = FolderDataset(data.root, data.paths, data.labels[::-1].copy(), data.classes)
    assert swapped.fingerprint() != data.fingerprint()


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("layout", ["CLASS", "train/CLASS"])
@pytest.mark.parametrize("change", ["added", "removed", "renamed", "moved", "overwritten", "appended", "replaced"])
def test_a_split_whose_files_changed_has_another_fingerprint(tmp_path: Path, layout: str, change: str) -> None:
    halves = {"CLASS": [""], "train/CLASS": ["train", "val"]}[layout]
    for seed, half in enumerate(halves):
        write_tree(tmp_path / "first" / half, {"ant": 8, "bee": 8}, first_seed=20 * seed)
    copy = shutil.copytree(tmp_path / "first", tmp_path / "copy")

    def fingerprint(root: Path) -> str:
        split = read_folder(root, Splitting(seed=1))
        return f"{split.train.fingerprint()}:{split.validation.fingerprint()}"

    original = fingerprint(tmp_path / "first")
    assert fingerprint(copy) == fingerprint(copy) == original
    tick()
    folder = copy / halves[-1]
    file = folder / "ant" / "3.jpg"
    content = file.read_bytes()
    match change:
        case "added":
            write_jpeg(folder / "bee" / "8.jpg", 99)
        case "removed":
            file.unlink()
        case "renamed":
            file.rename(file.with_name("9.jpg"))
        case "moved":
            file.rename(folder / "bee" / "9.jpg")
        case "overwritten":
            with file.open("r+b") as stream:
                stream.write(content[::-1])
        case "appended":
            with file.open("ab") as stream:
                stream.write(b"\0")
        case "replaced":
            os.replace(folder / "ant" / "4.jpg", file)
    assert fingerprint(copy) != original
    assert fingerprint(tmp_path / "first") == original


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    data = read_classes(write_tree(tmp_path, {"ant": 2, "bee": 2}))
    (tmp_path / "bee" / "1.jpg").unlink()
    for use in (data.fingerprint, lambda: data.load(3)):
        with pytest.raises(DataError, match=r"bee/1\.jpg': No such file"):
            use()
