"""Cores, quotas, memory, and the variables that set numbers of threads."""

from __future__ import annotations

import os

import pytest

from tests.diagnosis.machines import Made


@pytest.fixture(autouse=True)
def sixty_four_cores(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    made.cores = 64


def quota(made: Made, quota: str, group: str = "/") -> None:
    made.file("proc/self/cgroup", f"0::{group}\n")
    made.file(f"sys/fs/cgroup{group}/cpu.max", f"{quota}\n")


def test_all_cores(made: Made) -> None:
    assert made.found("cores").text == "64 cores, 64 threads"


def test_a_quota_of_one_and_a_half(made: Made) -> None:
    quota(made, "150000 100000")
    made.container()
    found = made.found("cores")
    assert found.status == "warning"
    assert "less than 2 of 64 cores: 1 thread," in found.text
    assert found.remedy is None
    made.program("docker")
    assert made.found("cores").remedy == "docker run --cpus 64 gpunn"


def test_a_quota_of_a_unit_of_the_system(made: Made) -> None:
    quota(made, "100000 100000", "/user.slice/user-1000.slice/session-3.scope")
    assert made.found("cores").remedy == "sudo systemctl set-property session-3.scope CPUQuota="


@pytest.mark.parametrize(("allowed", "threads"), [(450, 4), (200, 2)])
def test_a_quota_that_leaves_several(made: Made, allowed: int, threads: int) -> None:
    quota(made, f"{allowed}000 100000")
    assert (made.found("cores").status, made.found("cores").remedy) == ("ok", None)
    assert f"less than {threads + 1} of 64 cores: {threads} threads" in made.found("cores").text


@pytest.mark.parametrize(
    ("name", "value", "status", "remedy"),
    [
        ("GPUNN_THREADS", "8", "ok", None),
        ("GPUNN_THREADS", "100", "warning", "export GPUNN_THREADS=64"),
        ("GPUNN_THREADS", "0", "problem", "unset GPUNN_THREADS"),
        ("GPUNN_THREADS", "all", "problem", "unset GPUNN_THREADS"),
        ("OMP_NUM_THREADS", "1", "ok", None),
        ("OMP_NUM_THREADS", "4,2", "ok", None),
        ("OMP_NUM_THREADS", "0", "warning", "unset OMP_NUM_THREADS"),
        ("OMP_NUM_THREADS", "", "warning", "unset OMP_NUM_THREADS"),
        ("OMP_NUM_THREADS", "many", "warning", "unset OMP_NUM_THREADS"),
        ("OMP_NUM_THREADS", "65", "warning", "export OMP_NUM_THREADS=64"),
        ("OPENBLAS_NUM_THREADS", "-1", "warning", "unset OPENBLAS_NUM_THREADS"),
        ("MKL_NUM_THREADS", "128", "warning", "export MKL_NUM_THREADS=64"),
    ],
)
def test_variables(made: Made, name: str, value: str, status: str, remedy: str | None) -> None:
    made.environment[name] = value
    found = made.found("threads")
    assert (found.status, found.remedy) == (status, remedy)
    assert name in found.text


def test_an_empty_number_of_gpunn_s_threads_is_none(made: Made) -> None:
    made.environment["GPUNN_THREADS"] = ""
    assert "threads" not in {each.subject for each in made.findings()}


@pytest.mark.parametrize(
    ("available", "limits", "status", "words"),
    [
        (8 * 2**20, {}, "ok", "8.0 GiB available"),
        (2**19, {}, "warning", "0.5 GiB available"),
        (8 * 2**20, {"memory.max": "max"}, "ok", "8.0 GiB available"),
        (8 * 2**20, {"memory.max": str(2**29)}, "warning", "the control group allows 0.5 GiB"),
        (8 * 2**20, {"memory/memory.limit_in_bytes": str(2**31)}, "ok", "the control group allows 2.0 GiB"),
        (8 * 2**20, {"memory/memory.limit_in_bytes": str(2**63 - 4096)}, "ok", "8.0 GiB available"),
    ],
)
def test_memory(made: Made, available: int, limits: dict[str, str], status: str, words: str) -> None:
    made.file("proc/meminfo", f"MemTotal:       65536000 kB\nMemAvailable:   {available} kB\n")
    for name, text in limits.items():
        made.file(f"sys/fs/cgroup/{name}", text + "\n")
    found = made.found("memory")
    assert found.status == status
    assert words in found.text
