"""The checkpoints of a run: rotation, the best, and what is left after a kill, a damaged file or a failing disk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpunn.errors import CheckpointError
from gpunn.training.checkpoint_file import read_checkpoint, write_checkpoint
from gpunn.training.checkpoint_folder import CheckpointFolder
from tests.training import kill_while_saving
from tests.training.samples import assert_is_epoch, manifest_of, tensors_of

FILES = ["best.safetensors", "last.safetensors", "previous.safetensors"]


@pytest.fixture
def checkpoints(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints")


def save(checkpoints: CheckpointFolder, *epochs: int, best: int | None = None) -> None:
    for epoch in epochs:
        checkpoints.save(tensors_of(epoch), manifest_of(epoch), is_best=epoch == best)


def flip_byte(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def files_of(checkpoints: CheckpointFolder) -> list[str]:
    return sorted(os.listdir(checkpoints.folder))


def test_three_saves_rotate(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1, 2, 3, best=1)
    tensors, manifest, note = checkpoints.load_latest()
    assert note is None
    assert_is_epoch(3, tensors, manifest)
    assert_is_epoch(2, *read_checkpoint(checkpoints.previous))
    assert_is_epoch(1, *checkpoints.load_best())
    assert files_of(checkpoints) == FILES


def test_the_best_stays_when_last_is_damaged_later(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1, 2, best=2)
    assert_is_epoch(2, *checkpoints.load_best())
    save(checkpoints, 3, 4)
    assert_is_epoch(2, *checkpoints.load_best())


def test_a_damaged_last_falls_back_and_says_which_tensor(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1, 2)
    flip_byte(checkpoints.last, checkpoints.last.stat().st_size - 1)
    tensors, manifest, note = checkpoints.load_latest()
    assert_is_epoch(1, tensors, manifest)
    assert note == (
        f"'{checkpoints.last}' cannot be used: tensor 'mask' does not match its SHA-256; "
        f"using previous.safetensors (epoch 1, step 63)"
    )


def test_a_damaged_last_does_not_push_out_the_sound_previous(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1, 2)
    flip_byte(checkpoints.last, 100)
    checkpoints.load_latest()
    save(checkpoints, 5)
    assert_is_epoch(1, *read_checkpoint(checkpoints.previous))
    save(checkpoints, 6)
    assert_is_epoch(5, *read_checkpoint(checkpoints.previous))


def test_a_missing_last_falls_back(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1, 2)
    checkpoints.last.unlink()
    tensors, manifest, note = checkpoints.load_latest()
    assert_is_epoch(1, tensors, manifest)
    assert note is not None
    assert "No such file" in note


def test_both_damaged_is_an_error_that_names_both(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1, 2)
    flip_byte(checkpoints.last, checkpoints.last.stat().st_size - 1)
    checkpoints.previous.write_bytes(b"PK\3\4 and so on")
    with pytest.raises(CheckpointError, match=r"last\.safetensors: tensor 'mask'.*previous\.safetensors: .*zip"):
        checkpoints.load_latest()


@pytest.mark.parametrize("there", [False, True])
def test_an_empty_folder_is_an_error(checkpoints: CheckpointFolder, there: bool) -> None:
    if there:
        checkpoints.folder.mkdir()
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        checkpoints.load_latest()
    with pytest.raises(CheckpointError, match=r"best\.safetensors"):
        checkpoints.load_best()


def test_a_last_from_the_future_is_not_passed_over(
    checkpoints: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(checkpoints, 1)
    future = manifest_of(2).model_copy(update={"format_version": 2})
    checkpoints.save(tensors_of(2), future, is_best=False)
    with pytest.raises(CheckpointError, match="upgrade gpunn"):
        checkpoints.load_latest()


def test_a_folder_belongs_to_one_writer(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1)
    other = os.open(checkpoints.folder, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CheckpointError, match="another process is saving"):
            save(checkpoints, 2)
    finally:
        os.close(other)
    assert_is_epoch(1, *checkpoints.load_latest()[:2])


def test_temporaries_of_dead_writers_are_removed(checkpoints: CheckpointFolder) -> None:
    checkpoints.folder.mkdir()
    (checkpoints.folder / ".last.safetensors.0badcafe.tmp").write_bytes(b"half")
    (checkpoints.folder / "notes.tmp").write_bytes(b"mine")
    save(checkpoints, 1)
    assert files_of(checkpoints) == ["last.safetensors", "notes.tmp"]


@pytest.mark.parametrize("links", ["link", "copy"])
def test_killed_at_any_system_call_the_old_or_the_new_is_whole(tmp_path: Path, links: str) -> None:
    # The program itself compares every tensor with its known values.
    finished = subprocess.run(
        [sys.executable, kill_while_saving.__file__, str(tmp_path), links],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    saves = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [entry["killed"] for entry in saves] == [True] * (len(saves) - 1) + [False]
    assert len(saves) > 20

    latest = [entry["last"] for entry in saves]
    best = [entry["best"] for entry in saves]
    # From some call on the new one is there, for good; the best never lags behind the last.
    assert latest == sorted(latest)
    assert best == sorted(best)
    assert set(latest) == {2, 3}
    assert set(best) == {1, 3}
    assert all(entry["best"] == 3 for entry in saves if entry["last"] == 3)
    assert all(entry["note"] is None for entry in saves)
    # The next save goes on from there and leaves no temporary.
    assert all(entry["previous"] == entry["last"] for entry in saves)
    assert all(entry["files"] == FILES for entry in saves)


def test_every_name_moves_only_after_its_bytes_are_on_the_disk(
    checkpoints: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(checkpoints, 1, best=1)
    flushed: set[int] = set()
    folder_is_flushed = True
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        nonlocal folder_is_flushed
        fsync(descriptor)
        inode = os.fstat(descriptor).st_ino
        flushed.add(inode)
        folder_is_flushed |= inode == checkpoints.folder.stat().st_ino

    def recorded_replace(source: Path, target: Path) -> None:
        nonlocal folder_is_flushed
        assert source.stat().st_ino in flushed or target == checkpoints.previous
        assert folder_is_flushed
        replace(source, target)
        folder_is_flushed = False

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    save(checkpoints, 2, best=2)
    assert folder_is_flushed
    assert checkpoints.last.stat().st_ino in flushed


def failing_at(monkeypatch: pytest.MonkeyPatch, name: str, number: int, code: int) -> Callable[[], int]:
    """The system call of that name fails at its n-th use; returns how often it was used."""
    calls = 0
    call = getattr(os, name)

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != number:
            return call(*arguments, **options)
        if name == "write":
            call(arguments[0], arguments[1][: len(arguments[1]) // 2])
        if name == "close":
            call(*arguments)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, failing)
    return lambda: calls


@pytest.mark.parametrize(
    ("name", "code", "remedy"),
    [
        ("open", errno.EROFS, "make the folder writable"),
        ("write", errno.ENOSPC, "free some space"),
        ("write", errno.EIO, "disk may be failing"),
        ("fsync", errno.EIO, "disk may be failing"),
        ("close", errno.EDQUOT, "free some space"),
        ("link", errno.ENOSPC, "free some space"),
        ("replace", errno.EIO, "disk may be failing"),
    ],
)
def test_a_failing_disk_is_surfaced_and_nothing_is_lost(
    checkpoints: CheckpointFolder, tmp_path: Path, name: str, code: int, remedy: str
) -> None:
    save(checkpoints, 1, 2, best=1)
    shutil.copytree(checkpoints.folder, tmp_path / "before")
    with pytest.MonkeyPatch.context() as monkeypatch:
        used = failing_at(monkeypatch, name, 0, code)
        save(checkpoints, 3, best=3)
    assert used() > 0
    for number in range(1, used() + 1):
        shutil.rmtree(checkpoints.folder)
        shutil.copytree(tmp_path / "before", checkpoints.folder)
        with pytest.MonkeyPatch.context() as monkeypatch:
            failing_at(monkeypatch, name, number, code)
            with pytest.raises(CheckpointError) as caught:
                save(checkpoints, 3, best=3)
        assert os.strerror(code) in str(caught.value)
        assert remedy in str(caught.value)
        # The new checkpoint may be in place already when the failure comes; the temporaries are gone in any case.
        tensors, manifest, note = checkpoints.load_latest()
        assert note is None
        assert manifest.progress["epoch"] in (2, 3)
        assert_is_epoch(manifest.progress["epoch"], tensors, manifest)
        assert files_of(checkpoints) == FILES


@pytest.mark.parametrize("name", ["open", "write", "fsync", "close", "replace"])
def test_one_file_alone_is_intact_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "some.safetensors"
    write_checkpoint(path, tensors_of(1), manifest_of(1))
    failing_at(monkeypatch, name, 1, errno.ENOSPC)
    with pytest.raises(CheckpointError, match=r"No space left on device.*free some space"):
        write_checkpoint(path, tensors_of(2), manifest_of(2))
    monkeypatch.undo()
    assert_is_epoch(1, *read_checkpoint(path))
    assert list(tmp_path.iterdir()) == [path]


def test_a_size_limit_of_the_system_is_surfaced(checkpoints: CheckpointFolder) -> None:
    save(checkpoints, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(CheckpointError, match="File too large"):
            save(checkpoints, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_is_epoch(1, *checkpoints.load_latest()[:2])
    assert files_of(checkpoints) == ["last.safetensors"]


def test_a_folder_that_nobody_may_write_to_is_surfaced() -> None:
    # Not even root creates files there, and tests may run as root.
    folder = Path("/sys/kernel")
    if not folder.is_dir():
        pytest.skip("this system has no /sys")
    with pytest.raises(CheckpointError, match="make the folder writable"):
        write_checkpoint(folder / "some.safetensors", tensors_of(1), manifest_of(1))


def test_a_folder_that_went_away_is_surfaced(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="its folder is not there"):
        write_checkpoint(tmp_path / "gone" / "some.safetensors", tensors_of(1), manifest_of(1))


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, refused: Path, code: int) -> None:
    real = os.open

    def refusing(path: Path, *arguments: Any) -> int:
        if path == refused:
            raise OSError(code, os.strerror(code))
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", refusing)


def test_a_last_without_permission_is_no_reason_to_fall_back(
    checkpoints: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(checkpoints, 1, 2)
    refuse_to_open(monkeypatch, checkpoints.last, errno.EACCES)
    with pytest.raises(CheckpointError, match="Permission denied; ask for the right"):
        checkpoints.load_latest()


def test_a_last_on_a_bad_sector_falls_back(checkpoints: CheckpointFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    save(checkpoints, 1, 2)
    refuse_to_open(monkeypatch, checkpoints.last, errno.EIO)
    tensors, manifest, note = checkpoints.load_latest()
    assert_is_epoch(1, tensors, manifest)
    assert note is not None
    assert os.strerror(errno.EIO) in note
