"""The cores that a process may keep busy, on systems made up of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpunn.cores import available_cores, processor_name


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


def system(folder: Path, groups: str, files: dict[str, str]) -> Path:
    """A folder with proc/self/cgroup, and files below sys/fs/cgroup."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = folder / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


V1 = "9:memory:/m\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/\n"


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "300000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/user/job\n", {"user/job/cpu.max": "max 100000\n", "user/cpu.max": "200000 100000\n"}, 2),
        ("0::/user/job\n", {"user/job/cpu.max": "500000 100000\n", "user/cpu.max": "700000 100000\n"}, 5),
        ("0::/user/job\n", {"other/cpu.max": "100000 100000\n"}, 8),
        (V1, {"cpu/docker/abc/cpu.cfs_quota_us": "400000\n", "cpu/docker/abc/cpu.cfs_period_us": "100000\n"}, 4),
        (V1, {"cpu/cpu.cfs_quota_us": "60000\n", "cpu/cpu.cfs_period_us": "20000\n"}, 3),
        (V1, {"cpu/docker/abc/cpu.cfs_quota_us": "-1\n", "cpu/docker/abc/cpu.cfs_period_us": "100000\n"}, 8),
        (V1, {"cpu/docker/abc/cpu.cfs_quota_us": "400000\n"}, 8),
        (V1 + "0::/\n", {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
    ],
)
def test_quotas_cut_the_cores(tmp_path: Path, groups: str, files: dict[str, str], cores: int) -> None:
    assert available_cores(system(tmp_path, groups, files)) == cores


def test_a_system_without_control_groups_or_affinities_has_all_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert available_cores(tmp_path) == 8
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert available_cores(tmp_path) == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores(tmp_path) == 1


def test_the_running_system_gives_a_number() -> None:
    assert 1 <= available_cores() <= 8


def test_the_processor_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: A fast one: 3 GHz\nmodel name\t: another\n")
    assert processor_name(tmp_path) == "A fast one: 3 GHz"


@pytest.mark.parametrize("text", [None, "processor\t: 0\n", "model name\t:\n"])
def test_a_processor_without_a_name(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(text)
    assert processor_name(tmp_path) == os.uname().machine
