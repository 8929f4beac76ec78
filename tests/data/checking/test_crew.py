from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path

import pytest

from gpunn.data.checking.crew import Crew
from gpunn.data.checking.examination import Finding
from gpunn.errors import DataError
from tests.data.checking.hostile import Hostile, Unsendable

PATIENCE = 60.0
SHORT = 2.0

NAMELESS = signal.SIGRTMIN + 1
"""A signal that Python has no name for."""


def findings(data: Hostile, workers: int = 2, timeout: float = PATIENCE) -> dict[int, Finding]:
    """What was found of each picture; each was looked at once."""
    with Crew(data, "pillow", workers, timeout) as crew:
        found = list(crew.findings())
    by_index = {finding.index: finding for finding in found}
    assert len(found) == len(by_index) == len(data)
    return by_index


def children() -> set[str]:
    """The processes that this one has started and not forgotten, by their numbers."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        # Others may end at any moment.
        with contextlib.suppress(OSError):
            if f"PPid:\t{os.getpid()}\n" in status.read_text():
                found.add(status.parent.name)
    return found


@pytest.mark.parametrize("workers", [1, 3])
def test_every_picture_is_read_once_by_any_number_of_workers(workers: int) -> None:
    data = Hostile(70, {})
    before = children()
    found = findings(data, workers)
    for index, finding in found.items():
        digest = hashlib.blake2b(data.read(index), digest_size=16).digest()
        assert finding == Finding(index, digest, (4, 5, 1))
    assert children() == before


def test_pictures_that_end_their_reader_are_named_and_the_others_are_read() -> None:
    deeds = {0: signal.SIGSEGV, 1: signal.SIGKILL, 17: "exit", 20: "odd\nerror", 33: signal.SIGABRT, 39: NAMELESS}
    found = findings(Hostile(40, deeds))
    assert {index: finding.reason for index, finding in found.items() if finding.reason is not None} == {
        0: "the process that read it was killed by SIGSEGV",
        1: "the process that read it was killed by SIGKILL, perhaps for want of memory",
        17: "the process that read it ended with status 3",
        20: r"RuntimeError: odd\nerror",
        33: "the process that read it was killed by SIGABRT",
        39: f"the process that read it was killed by signal {NAMELESS}",
    }
    assert all(finding.size == (4, 5, 1) for index, finding in found.items() if index not in deeds)


def test_a_picture_whose_reading_does_not_end_is_given_up() -> None:
    found = findings(Hostile(40, {5: "hang"}), workers=1, timeout=SHORT)
    assert [index for index, finding in found.items() if finding.reason] == [5]
    assert found[5].reason == "reading it took more than 2 seconds"


def test_storage_that_does_not_answer_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpunn.data.checking.crew.STALLS_IN_A_ROW", 2)
    before = children()
    with pytest.raises(DataError, match=r"hostile picture \d+: .* the storage does not answer"):
        findings(Hostile(40, dict.fromkeys(range(40), "hang")), timeout=0.2)
    assert children() == before


def test_processes_that_cannot_start_are_said() -> None:
    with pytest.raises(DataError, match="a process to read pictures with ended with status 4 before it read any"):
        findings(Unsendable(3, {}))


def test_a_program_that_cannot_be_started_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(DataError, match=r"a process to read pictures with cannot be started: .*No such file"):
        findings(Hostile(3, {}))


@pytest.mark.parametrize("told", [False, True])
def test_a_process_whose_maker_is_gone_ends_in_silence(told: bool) -> None:
    here, there = Pipe()
    if told:
        here.send((Hostile(3, {}), "pillow"))
    here.close()
    program = f"from gpunn.data.checking.worker_process import main; main({there.fileno()})"
    with there:
        run = subprocess.run([sys.executable, "-c", program], pass_fds=[there.fileno()], capture_output=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_leaving_early_ends_the_processes() -> None:
    before = children()
    with Crew(Hostile(1000, {}), "pillow", 2, PATIENCE) as crew:
        next(crew.findings())
        assert len(children() - before) == 2
    assert children() == before
