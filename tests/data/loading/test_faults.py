"""Workers that die, and storage that hangs (fault 25)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.data.loading import process_workers, thread_workers
from gpunn.data.loading.loader import Loader
from gpunn.errors import DataError, UsageError
from tests.data.loading.datasets import SAME_SIZE, Files, copied


def loader(data: Files, **options: Any) -> Loader:
    return Loader(data, SAME_SIZE, **{"batch_size": 4, "seed": 1, "workers": 1, "worker_kind": "processes", **options})


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Files]:
    data = Files(40, tmp_path, {9: "hang"})
    yield data
    data.let_go()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("kill", r"^picture 9: while worker [01] read this picture it was ended by SIGKILL; .* use fewer workers"),
        ("crash", r"^picture 9: while worker [01] read this picture it was ended by SIGSEGV; remove or replace"),
        ("exit", r"^picture 9: while worker [01] read this picture it ended with status 3; "),
    ],
)
def test_a_worker_that_dies_is_reported_with_its_picture(
    tmp_path: Path, started: list[Any], trouble: Any, words: str
) -> None:
    data = Files(40, tmp_path, {9: trouble})
    # A picture that is skipped must not take the process along.
    source = loader(data, unreadable="skip", workers=2)
    with pytest.raises(DataError, match=words):
        copied(source.batches(0))
    # New workers take up where the others ended.
    (tmp_path / "calm").touch()
    rest = copied(source.batches(0, 2))
    assert np.concatenate([batch["indices"] for batch in rest]).tolist() == list(range(8, 40))
    source.close()
    assert len(started) == 4


def test_workers_that_are_killed_while_they_rest_are_reported(tmp_path: Path, started: list[Any]) -> None:
    source = loader(Files(8, tmp_path))
    copied(source.batches(0))
    for process in started:
        process.kill()
    for process in started:
        process.wait()
    with pytest.raises(DataError, match=r"worker 0 was ended by SIGKILL while it read no picture"):
        copied(source.batches(1))
    assert len(copied(source.batches(1))) == 2
    source.close()


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_storage_that_hangs_is_reported_with_the_picture(
    hanging: Files, kind: Any, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_workers, "END_SECONDS", 0.1)
    monkeypatch.setattr(process_workers, "END_SECONDS", 0.1)
    source = loader(hanging, worker_kind=kind, timeout=1.0)
    words = r"^picture 9: worker 0 has been reading this picture for .* the time-out is 1 s; see whether its st"
    with pytest.raises(DataError, match=words):
        copied(source.batches(0))
    (hanging.folder / "calm").touch()
    assert len(copied(source.batches(0))) == 10
    source.close()


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_epoch_can_be_left_while_a_worker_hangs(
    hanging: Files, kind: Any, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_workers, "END_SECONDS", 0.1)
    monkeypatch.setattr(process_workers, "END_SECONDS", 0.1)
    source = loader(hanging, worker_kind=kind)
    batches = source.batches(0)
    next(batches)
    while 9 not in hanging.readers():
        time.sleep(0.01)
    batches.close()
    source.close()


def test_threads_that_were_left_behind_end_when_their_storage_answers(
    hanging: Files, threads: Callable[[], list[threading.Thread]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_workers, "END_SECONDS", 0.1)
    source = loader(hanging, worker_kind="threads", timeout=0.5)
    with pytest.raises(DataError, match="picture 9"):
        copied(source.batches(0))
    source.close()
    (left,) = threads()
    hanging.let_go()
    left.join()


def test_a_worker_that_hangs_ends_with_the_program(hanging: Files, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.data.loading.datasets import Files, SAME_SIZE; "
        "from gpunn.data.loading.loader import Loader; "
        "data = Files(40, Path(sys.argv[1]), {9: 'hang'}); "
        "list(Loader(data, SAME_SIZE, batch_size=4, seed=1, workers=2, worker_kind='processes').batches(0))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment) as process:
        while 9 not in hanging.readers():
            time.sleep(0.01)
        process.kill()
    for worker in set(hanging.readers().values()):
        while _is_alive(worker):
            time.sleep(0.01)


def _is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_signals_that_ask_a_run_to_stop_do_not_reach_its_workers(tmp_path: Path, started: list[Any]) -> None:
    source = loader(Files(8, tmp_path), workers=2)
    batches = source.batches(0)
    next(batches)
    for process in started:
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
    copied(batches)
    assert len(copied(source.batches(1))) == 2
    assert [process.poll() for process in started] == [None, None]
    source.close()


def test_processes_that_cannot_be_started_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[subprocess.Popen[bytes]] = []

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        if first:
            raise BlockingIOError("Resource temporarily unavailable")
        first.append(subprocess.Popen(*arguments, **options))
        return first[0]

    monkeypatch.setattr(process_workers, "Popen", popen)
    with pytest.raises(UsageError, match="2 worker processes cannot be started: Resource temporarily unavailable"):
        next(loader(Files(8, tmp_path), workers=2).batches(0))
    assert first[0].returncode is not None
