from __future__ import annotations

import os
import pickle
import shutil
import stat
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpunn.cache import CACHE_VARIABLE, CacheWarning
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.tree.dataset import FolderDataset, read_classes, read_folder
from gpunn.data.sources.tree.scan import state
from gpunn.errors import DataError
from tests.data.keeping.clock import tick
from tests.data.pictures import write_jpeg, write_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with links to folders, to files, to nowhere and back into itself, and with what is passed over."""
    root = write_tree(tmp_path / "root", {"ant": 2, "ant/deep/deeper": 1, "bee": 1, "cow": 3})
    store = write_tree(tmp_path / "store", {"dog": 2, "more": 1, "other": 2})
    (root / "dog").symlink_to(store / "dog")
    (root / "bee" / "more").symlink_to(store / "more")
    (root / "bee" / "one.jpg").symlink_to(store / "other" / "1.jpg")
    (root / "bee" / "gone.jpg").symlink_to(store / "gone.jpg")
    (root / "bee" / "again").symlink_to(root / "bee")
    os.mkfifo(root / "ant" / "pipe.jpg")
    (root / "cow" / "two\nlines.jpg").symlink_to("nowhere")
    tick()
    return root


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the folders that are listed."""
    names: list[str] = []
    system = os.scandir

    def noted(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        names.append(os.fsdecode(os.path.basename(path)))
        return system(path)

    monkeypatch.setattr(os, "scandir", noted)
    return names


def outcome(root: Path) -> tuple[Any, ...]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = read_classes(root, keep_empty_classes=True)
    told = sorted(str(warning.message) for warning in caught)
    return list(data.paths), data.labels.tolist(), data.classes, told


def fresh(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Any, ...]:
    """What a program finds that never saw the tree."""
    with monkeypatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path / "no cache"))
        return outcome(root)


def make_folder(root: Path) -> None:
    write_tree(root / "cow", {"herd": 2})


def make_hidden(root: Path) -> None:
    (root / "cow" / ".notes").write_text("")


def swap_folders(root: Path) -> None:
    (root / "cow").rename(root / "aside")
    (root / "ant").rename(root / "cow")
    (root / "aside").rename(root / "ant")


def copy_and_replace(root: Path) -> None:
    """The new folder has the dates of the old one, as copies with `cp --archive` have."""
    shutil.copytree(root / "cow", root / "copy", symlinks=True)
    (root / "copy" / "extra.jpg").write_bytes(b"")
    shutil.copystat(root / "cow", root / "copy")
    shutil.rmtree(root / "cow")
    (root / "copy").rename(root / "cow")


def set_date_back(root: Path) -> None:
    times = (root / "cow").stat()
    write_jpeg(root / "cow" / "7.jpg", 7)
    os.utime(root / "cow", ns=(times.st_atime_ns, times.st_mtime_ns))


def retarget(root: Path) -> None:
    (root / "dog").unlink()
    (root / "dog").symlink_to(root.parent / "store" / "other")


def replace_what_a_link_leads_to(root: Path) -> None:
    store = root.parent / "store"
    (store / "more").rename(store / "aside")
    (store / "other").rename(store / "more")


def turn_a_linked_file_into_a_fifo(root: Path) -> None:
    file = root.parent / "store" / "other" / "1.jpg"
    file.unlink()
    os.mkfifo(file)


def turn_a_linked_file_into_a_folder(root: Path) -> None:
    file = root.parent / "store" / "other" / "1.jpg"
    file.unlink()
    write_tree(file, {"inside": 2})


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda root: write_jpeg(root / "cow" / "9.jpg", 9),
    "a file less": lambda root: (root / "cow" / "1.jpg").unlink(),
    "a file with another name": lambda root: (root / "cow" / "1.jpg").rename(root / "cow" / "8.jpg"),
    "a file moved to another class": lambda root: (root / "cow" / "1.jpg").rename(root / "ant" / "8.jpg"),
    "a file more far below": lambda root: write_jpeg(root / "ant" / "deep" / "deeper" / "9.jpg", 9),
    "a file that becomes a FIFO": lambda root: ((root / "cow/1.jpg").unlink(), os.mkfifo(root / "cow/1.jpg")),
    "a file that becomes a link": lambda root: (
        (root / "cow/1.jpg").unlink(),
        (root / "cow/1.jpg").symlink_to("0.jpg"),
    ),
    "a file that is no image": lambda root: (root / "cow" / "notes.txt").write_text(""),
    "a hidden file": make_hidden,
    "a folder more": make_folder,
    "a folder less": lambda root: shutil.rmtree(root / "ant" / "deep" / "deeper"),
    "a folder with another name": lambda root: (root / "ant" / "deep").rename(root / "ant" / "below"),
    "a class more": lambda root: write_tree(root, {"asp": 2}),
    "a class less": lambda root: shutil.rmtree(root / "cow"),
    "a class with another name": lambda root: (root / "cow").rename(root / "ape"),
    "two classes that change places": swap_folders,
    "a class whose copy takes its place": copy_and_replace,
    "a folder whose date is set back": set_date_back,
    "a class that becomes empty": lambda root: [path.unlink() for path in (root / "cow").iterdir()],
    "a link that leads elsewhere": retarget,
    "another folder where a link leads": replace_what_a_link_leads_to,
    "nothing where a link to a class leads": lambda root: shutil.rmtree(root.parent / "store" / "dog"),
    "nothing where a link to a folder leads": lambda root: shutil.rmtree(root.parent / "store" / "more"),
    "nothing where a link to a file leads": lambda root: (root.parent / "store" / "other" / "1.jpg").unlink(),
    "a folder where a link to a file leads": turn_a_linked_file_into_a_folder,
    "a FIFO where a link to a file leads": turn_a_linked_file_into_a_fifo,
    "a file where a link led nowhere": lambda root: write_jpeg(root.parent / "store" / "gone.jpg", 1),
    "a folder where a link led nowhere": lambda root: write_tree(root.parent / "store", {"gone.jpg": 1}),
    "a file in a folder that a link leads to": lambda root: write_jpeg(root.parent / "store" / "dog" / "9.jpg", 9),
}


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_after_every_kind_of_change_the_tree_is_read_as_if_for_the_first_time(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    outcome(tree)
    change(tree)
    expected = fresh(tree, monkeypatch, tmp_path)
    assert outcome(tree) == expected
    # The index that was kept now is as good as the one before.
    assert outcome(tree) == expected


@pytest.mark.parametrize("what", ["st_dev", "st_ino", "st_mode", "st_mtime_ns", "st_ctime_ns"])
def test_all_that_tells_of_a_folder_is_its_state(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    status = {"st_dev": 1, "st_ino": 2, "st_mode": stat.S_IFDIR | 0o755, "st_mtime_ns": 3, "st_ctime_ns": 4}
    found = []
    for changed in (status, {**status, what: status[what] + 1}, status):
        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", lambda path, changed=changed: SimpleNamespace(**changed))
            found.append(state(b"folder"))
    assert found[0] == found[2] != found[1]


@pytest.mark.usefixtures("kept")
def test_a_tree_that_did_not_change_is_not_read(tree: Path, read: list[str]) -> None:
    first = outcome(tree)
    assert len(first[3]) == 4
    assert {"ant", "deeper", "dog", "more"} <= set(read)
    write_jpeg(tree / "stray.jpg", 0)
    (tree / "cow" / "1.jpg").write_bytes(b"overwritten")
    read.clear()
    assert outcome(tree) == first
    assert read == ["root"]


def test_a_tree_in_another_place_has_an_index_of_its_own(
    tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_tree(tree.parent / "other root", {"ant": 1, "ape": 2})
    first = outcome(tree)
    assert outcome(other)[0] == [b"ant/0.jpg", b"ape/0.jpg", b"ape/1.jpg"]
    assert outcome(tree) == first
    monkeypatch.chdir(tree)
    assert outcome(Path())[:3] == first[:3]
    monkeypatch.chdir(other)
    assert outcome(Path())[0] == [b"ant/0.jpg", b"ape/0.jpg", b"ape/1.jpg"]
    assert len(list(kept.iterdir())) == 2


def test_a_tree_that_has_just_changed_is_not_kept(tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("gpunn.data.keeping.file_state.time_ns", time.time_ns)
        outcome(tree)
        assert not kept.exists()
    outcome(tree)
    assert len(list(kept.iterdir())) == 1


def test_a_tree_that_cannot_be_read_as_a_whole_is_not_kept(
    tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = os.scandir

    def failing(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        if path.endswith(b"deeper"):
            raise OSError(5, "Input/output error", path)
        return system(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        assert any("deeper' cannot be read: Input/output error" in told for told in outcome(tree)[3])
    assert not kept.exists()
    assert b"ant/deep/deeper/0.jpg" in outcome(tree)[0]


def test_a_damaged_index_is_ignored(tree: Path, kept: Path, read: list[str]) -> None:
    first = outcome(tree)
    (file,) = kept.iterdir()
    content = file.read_bytes()
    for damaged in (content.replace(b"cow/1.jpg", b"cow/9.jpg"), content[:-64], b"", b"poison"):
        assert damaged != content
        file.write_bytes(damaged)
        read.clear()
        assert outcome(tree) == first
        assert "deeper" in read


def test_an_index_of_another_version_is_ignored(tree: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(tree)
    monkeypatch.setattr("gpunn.__version__", "999")
    outcome(tree)
    assert len(list(kept.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_told_once(tmp_path: Path, kept: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 2, "bee": 2})
    write_tree(tmp_path / "val", {"ant": 2, "bee": 2})
    tick()
    kept.write_text("in the way of the folder")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        split = read_folder(tmp_path, Splitting(seed=0))
        prints = [split.train.fingerprint(), split.validation.fingerprint()]
    (told,) = caught
    assert told.category is CacheWarning
    assert CACHE_VARIABLE in str(told.message)
    kept.unlink()
    split = read_folder(tmp_path, Splitting(seed=0))
    assert [split.train.fingerprint(), split.validation.fingerprint()] == prints


@pytest.mark.usefixtures("kept")
class TestInAnotherProcess:
    """What a worker gets, as pickling gives it."""

    @pytest.fixture
    def data(self, tmp_path: Path) -> FolderDataset:
        write_tree(tmp_path, {"ant": 2, "bee": 0, "cow": 3})
        tick()
        return read_classes(tmp_path, keep_empty_classes=True)

    def same(self, first: FolderDataset, second: FolderDataset) -> None:
        assert list(first.paths) == list(second.paths)
        assert first.labels.tolist() == second.labels.tolist()
        assert (first.root, first.classes, first.half) == (second.root, second.classes, second.half)
        assert first.read(3) == second.read(3)
        assert first.fingerprint() == second.fingerprint()

    def test_it_maps_the_same_file(self, data: FolderDataset) -> None:
        pickled = pickle.dumps(data)
        assert b"cow/1.jpg" not in pickled
        self.same(pickle.loads(pickled), data)

    @pytest.mark.parametrize("how", ["removed", "replaced"])
    def test_without_the_file_it_gets_the_paths(self, data: FolderDataset, tmp_path: Path, how: str) -> None:
        assert data.kept is not None
        if how == "removed":
            data.kept.path.unlink()
        else:
            (tmp_path / "cow" / "2.jpg").rename(tmp_path / "cow" / "0.png")
            read_classes(tmp_path, keep_empty_classes=True)
            (tmp_path / "cow" / "0.png").rename(tmp_path / "cow" / "2.jpg")
        pickled = pickle.dumps(data)
        assert b"cow/1.jpg" in pickled
        self.same(pickle.loads(pickled), data)

    def test_a_file_that_goes_meanwhile_is_told(self, data: FolderDataset) -> None:
        pickled = pickle.dumps(data)
        assert data.kept is not None
        data.kept.path.unlink()
        with pytest.raises(DataError, match="its index was removed from the cache"):
            pickle.loads(pickled)


def test_a_data_set_of_few_files_is_pickled_whole(tmp_path: Path) -> None:
    data = read_classes(write_tree(tmp_path, {"ant": 2, "bee": 3}))
    other = pickle.loads(pickle.dumps(data))
    assert list(other.paths) == list(data.paths)
    assert other.labels.tolist() == [0, 0, 1, 1, 1]
    assert other.fingerprint() == data.fingerprint()


@pytest.mark.usefixtures("kept")
def test_warnings_are_those_of_this_start(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = outcome(tree)[3]
    monkeypatch.chdir(tree.parent)
    relative = outcome(Path("root"))[3]
    assert relative == [text.replace(f"{tree.parent}/", "") for text in told]
    assert [text.split("; ")[0] for text in relative] == [
        "'root/ant/pipe.jpg' is not a regular file",
        "'root/bee/again' leads to a folder that is read already",
        "'root/bee/gone.jpg' is a link that leads nowhere: No such file or directory",
        "'root/cow/two\\nlines.jpg' is a link that leads nowhere: No such file or directory",
    ]


def test_an_index_that_nobody_used_for_long_makes_room(tree: Path, kept: Path) -> None:
    outcome(tree)
    (index,) = kept.iterdir()
    long_ago = time.time() - 91 * 24 * 3600
    os.utime(index, (long_ago, long_ago))
    outcome(tree)
    other = write_tree(tree.parent / "other", {"ant": 1, "bee": 2})
    outcome(other)
    assert len(list(kept.iterdir())) == 2
    os.utime(index, (long_ago, long_ago))
    write_jpeg(other / "bee" / "9.jpg", 0)
    outcome(other)
    assert index not in kept.iterdir()
    assert len(list(kept.iterdir())) == 1
