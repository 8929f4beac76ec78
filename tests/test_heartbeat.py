"""The heartbeat: who beats, and what the check makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpunn.heartbeat import Heartbeat, main
from tests.training.runs import Setting, trainer_of

LONG_AGO = 1_000_000_000


@contextmanager
def child(program: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says "ready", and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}\nprint('ready', flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
        started.kill()


def test_a_run_that_goes_on_is_healthy_and_one_that_hangs_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    with Heartbeat(tmp_path / "runs/first/heartbeat"), Heartbeat(tmp_path / "runs/second/heartbeat"):
        assert main([str(tmp_path)]) == 0
        assert "first: goes on" in capsys.readouterr().out
        os.utime(tmp_path / "runs/second/heartbeat", (LONG_AGO, LONG_AGO))
        assert main([str(tmp_path)]) == 1
        assert "second: no step for " in capsys.readouterr().out
        assert main([str(tmp_path), "--within", "1e12"]) == 0
    capsys.readouterr()
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"nothing is training in {tmp_path}\n"


def test_what_a_killed_process_left_counts_as_nothing(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    program = (
        f"from pathlib import Path\nfrom gpunn.heartbeat import Heartbeat\nHeartbeat(Path({str(file)!r})).__enter__()"
    )
    with child(program) as started:
        os.utime(file, (LONG_AGO, LONG_AGO))
        assert main([str(tmp_path)]) == 1
        started.kill()
        # Not reaped yet: the process is still listed, as one that has ended.
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        assert main([str(tmp_path)]) == 0
    assert file.exists()
    assert main([str(tmp_path)]) == 0


def test_a_process_that_got_the_number_of_a_dead_one_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    with Heartbeat(file):
        number, started = file.read_text().split()
        assert int(number) == os.getpid()
        file.write_text(f"{number} {int(started) - 1}\n")
        os.utime(file, (LONG_AGO, LONG_AGO))
        assert main([str(tmp_path)]) == 0


@pytest.mark.parametrize("content", ["", "soon", "1 2 3", "0 0"])
def test_a_file_that_is_no_heartbeat_counts_as_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "heartbeat").write_text(content)
    assert main([str(tmp_path)]) == 0


def test_it_beats_once_a_second_at_most(tmp_path: Path) -> None:
    file, now = tmp_path / "heartbeat", 10.0
    with Heartbeat(file, clock=lambda: now) as heartbeat:
        os.utime(file, (LONG_AGO, LONG_AGO))
        now = 10.9
        heartbeat.beat()
        assert file.stat().st_mtime == LONG_AGO
        now = 11.1
        heartbeat.beat()
        assert file.stat().st_mtime > LONG_AGO


def test_a_file_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    with Heartbeat(tmp_path / "missing/heartbeat", clock=iter(range(100)).__next__) as heartbeat:
        heartbeat.beat()
    with Heartbeat(None, clock=iter(range(100)).__next__) as heartbeat:
        heartbeat.beat()
    assert not list(tmp_path.iterdir())


def test_training_and_validation_beat_and_the_end_takes_the_file_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpunn.heartbeat.INTERVAL", 0.0)
    beats = []
    original = Heartbeat.beat

    def beat(heartbeat: Heartbeat) -> None:
        file = tmp_path / "heartbeat"
        os.utime(file, (LONG_AGO, LONG_AGO))
        original(heartbeat)
        beats.append(file.stat().st_mtime > LONG_AGO)

    monkeypatch.setattr(Heartbeat, "beat", beat)
    with trainer_of(Setting(), tmp_path) as trainer:
        epochs = [len(beats) for _ in trainer.fit()]
    assert all(beats)
    assert epochs[0] == -(-50 // 8) + -(-21 // 8), "each batch of training and of validation"
    assert not (tmp_path / "heartbeat").exists()


def test_a_run_that_fails_takes_the_file_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(heartbeat: Heartbeat) -> None:
        assert (tmp_path / "heartbeat").is_file()
        raise RuntimeError("broken")

    monkeypatch.setattr(Heartbeat, "beat", fail)
    with trainer_of(Setting(), tmp_path) as trainer, pytest.raises(RuntimeError, match="broken"):
        list(trainer.fit())
    assert not (tmp_path / "heartbeat").exists()
