"""The cache, the folder of runs, their disks, and the clock."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.writing import nearest, trial
from gpunn.errors import UsageError
from tests.diagnosis.machines import NOW, Made, failing


def cache(made: Made) -> Path:
    folder = made.root / "home/cache/gpunn"
    folder.mkdir(parents=True)
    return folder


def refuse(monkeypatch: pytest.MonkeyPatch, area: str, folder: Path, number: int) -> None:
    """Writing into that folder fails, as it does not for root however the folder's mode is."""

    def refusing(wanted: Path) -> OSError | None:
        return OSError(number, os.strerror(number)) if wanted == folder else trial(wanted)

    monkeypatch.setattr(f"gpunn.diagnosis.areas.{area}.trial", refusing)


def of_cache(made: Made, device: str = "auto") -> list[Finding]:
    return [each for each in made.findings(device) if each.subject == "cache"]


def test_nothing_is_left_behind(made: Made) -> None:
    before = sorted(made.root.rglob("*"))
    made.findings()
    assert sorted(made.root.rglob("*")) == before


def test_a_read_only_cache(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache(made)
    refuse(monkeypatch, "cache", folder, errno.EROFS)
    (found,) = of_cache(made)
    assert (found.status, found.text) == ("warning", f"{folder} cannot be written: Read-only file system")
    assert found.remedy == f'export GPUNN_CACHE="$(mktemp -d -p {made.root}/tmp)"'
    assert of_cache(made, "emulator")[0].status == "problem"


def test_a_cache_of_another_mode_or_owner(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache(made)
    refuse(monkeypatch, "cache", folder, errno.EACCES)
    assert of_cache(made)[0].remedy == f"chmod u+rwx {folder}"
    made.user += 1
    assert of_cache(made)[0].remedy == f'sudo chown -R "$(id -u):$(id -g)" {folder}'


def test_nobody_is_told_to_own_a_folder_above_the_cache(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "cache", made.root / "home/cache", errno.EACCES)
    made.user += 1
    assert (of_cache(made)[0].remedy or "").startswith("export GPUNN_CACHE=")


def test_a_file_where_the_cache_should_be(made: Made) -> None:
    file = made.file("home/cache/gpunn")
    (found,) = of_cache(made)
    assert (found.status, found.remedy) == ("warning", f"mv {file} {file}.old")


def test_a_full_disk(made: Made) -> None:
    made.free = 300 * 2**20
    (found,) = of_cache(made)
    assert (found.status, found.remedy) == ("warning", "df -h")
    assert "only 300 MiB are free" in found.text
    assert "only 300 MiB are free" in made.found("runs").text


def test_a_user_without_a_home(made: Made) -> None:
    def homeless(room: str) -> Path:
        raise UsageError("this user has no home to keep a cache in; set GPUNN_CACHE to a folder")

    made.cache = homeless
    (found,) = of_cache(made)
    assert (found.status, found.text) == ("warning", "this user has no home to keep a cache in")
    assert made.found("clock").status == "ok"


def test_a_cache_that_others_may_write(made: Made) -> None:
    folder = cache(made)
    folder.chmod(0o777)
    _, found = of_cache(made)
    assert (found.status, found.remedy) == ("warning", f"chmod -R go-w {folder}")
    folder.chmod(0o700)
    assert len(of_cache(made)) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_a_cache_of_somebody_else(made: Made) -> None:
    folder = cache(made)
    os.chown(folder, 4321, -1)
    assert "belongs to user 4321" in of_cache(made)[1].text


def library(size: int = 4096) -> bytes:
    """The header of an ELF file whose section table of 10 entries of 64 bytes ends at `size`."""
    header = bytearray(size)
    header[:4] = b"\x7fELF"
    header[40:48] = (size - 640).to_bytes(8, "little")
    header[58:60] = (64).to_bytes(2, "little")
    header[60:62] = (10).to_bytes(2, "little")
    return bytes(header)


def test_poisoned_files(made: Made) -> None:
    emulator, tuning, cubins = _rooms(made)
    (emulator / "whole.so").write_bytes(library())
    (emulator / "cut.so").write_bytes(library()[:-1])
    (emulator / "empty.so").write_bytes(b"")
    (emulator / "page.so").write_bytes(b"<html>" * 100)
    (tuning / "good.json").write_text("{}")
    assert {path.name for path in _named(made)} == {"cut.so", "empty.so", "page.so"}
    (tuning / "bad.json").write_text('{"a":')
    (tuning / "list.json").write_text("[]")
    (cubins / "fill-sm_90-0.cubin").write_bytes(b"x")
    made.answers["kept_kernels"] = {"files": 1, "damaged": ["fill-sm_90-0.cubin"]}
    found = of_cache(made)[1]
    assert "6 damaged: fill-sm_90-0.cubin, cut.so, empty.so, page.so and 2 more" in found.text
    assert found.remedy == f"rm -r {cubins} {emulator} {tuning}"
    made.answers["kept_kernels"] = failing("NVRTC is not installed")
    assert of_cache(made)[1].text.startswith("5 damaged")


def _rooms(made: Made) -> tuple[Path, Path, Path]:
    folder = cache(made)
    rooms = folder / "emulator", folder / "tuning", folder / "cubins"
    for room in rooms:
        room.mkdir()
    return rooms


def _named(made: Made) -> list[Path]:
    """The files that the command removes."""
    remedy = of_cache(made)[1].remedy or ""
    assert remedy.startswith("rm /")
    return [Path(word) for word in remedy.split()[1:]]


def test_runs_that_cannot_be_written(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "disk", made.root / "work", errno.EACCES)
    found = made.found("runs")
    assert (found.status, found.remedy) == ("warning", f"chmod u+rwx {made.root}/work")
    made.user += 1
    assert made.found("runs").remedy == f'gpunn train --out "$(mktemp -d -p {made.root}/tmp)"'


def test_a_clock_that_was_set_back(made: Made) -> None:
    file = made.file("installed/geometry.py")
    os.utime(file, (NOW + 500, NOW + 500))
    assert made.found("clock").status == "ok"
    os.utime(file, (NOW + 1e7, NOW + 1e7))
    found = made.found("clock")
    assert found.status == "problem"
    assert "2026-09-21" in found.text
    assert "2027-01-15" in found.text
    assert found.remedy == "sudo timedatectl set-ntp true"


def test_a_clock_that_is_behind_a_run(made: Made) -> None:
    run = made.file("work/runs/lenet/config.toml").parent
    os.utime(run, (NOW + 1e6, NOW + 1e6))
    assert str(run) in made.found("clock").text


def test_a_file_that_goes_away_while_the_clock_is_looked_at_counts_as_nothing(made: Made) -> None:
    kept = cache(made) / "emulator"
    kept.mkdir()
    (kept / "building").symlink_to(kept / "moved away")
    assert made.found("clock").status == "ok"


def test_a_folder_that_takes_a_file_but_no_content(tmp_path: Path) -> None:
    """As on a full disk; here a limit of this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        found = trial(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found is not None
    assert found.errno == errno.EFBIG
    assert trial(tmp_path) is None


def test_the_nearest_folder_is_one_that_is_there(tmp_path: Path) -> None:
    assert nearest(tmp_path / "a/b/c") == tmp_path
    assert nearest(tmp_path) == tmp_path
