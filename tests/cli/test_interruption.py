"""gpunn train as a process of its own that is interrupted, terminated, and killed at random moments."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.training.runs import assert_same_run, records_of, write_stripes

#: Drawing takes far longer than these epochs, and is not what is tested here.
WITHOUT_CURVES = "import gpunn.training.curve_picture; gpunn.training.curve_picture.draw_curves = lambda *_: None; "
RUN = "from gpunn.cli import main; main()"
EPOCHS = 30


@contextmanager
def process(*arguments: object, before: str = WITHOUT_CURVES) -> Iterator[subprocess.Popen[str]]:
    """gpunn with these arguments; ended when the block is left."""
    command = [sys.executable, "-u", "-c", before + RUN, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def wait_for(started: subprocess.Popen[str], *beginnings: str) -> None:
    """Read lines up to one that begins so."""
    assert started.stdout is not None
    for line in started.stdout:
        if line.startswith(beginnings):
            return
    raise AssertionError(f"no line begins with {' or '.join(beginnings)}")


def end_of(started: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = started.communicate(timeout=120)
    return started.returncode, out, error


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stripes(tmp_path_factory.mktemp("data") / "stripes.npz", train=600, validation=60)


def arguments(data: Path, out: Path) -> tuple[object, ...]:
    return (
        *("train", "--data", data, "--model", "mlp", "--epochs", EPOCHS, "--batch-size", 20, "--accumulate", 4),
        *("--set", "threads=2", "--schedule", "warmup:2,cosine", "--out", out),
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    with process(*arguments(data, out)) as started:
        status, _, error = end_of(started)
    assert (status, error) == (0, "")
    return out


def test_interrupted_terminated_and_resumed(data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for number, given in ((signal.SIGINT, arguments(data, run)), (signal.SIGTERM, ("train", "--resume", run))):
        with process(*given) as started:
            wait_for(started, "epoch ")
            started.send_signal(number)
            status, out, error = end_of(started)
        assert (status, error) == (128 + number, "")
        assert f"{number.name}: ending after this step" in out
        assert f"gpunn train --resume {run}" in out
    assert len(records_of(run)) < EPOCHS
    with process("train", "--resume", run) as started:
        status, _, error = end_of(started)
    assert (status, error) == (0, "")
    assert_same_run(run, uninterrupted)


def test_killed_at_random_moments(data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """kill -9: no handler runs, whatever was being written stays as it is."""
    run = tmp_path / "run"
    draw = random.Random(4)
    given: tuple[object, ...] = (*arguments(data, run), "--set", "checkpoint_seconds=0.001")
    for _ in range(4):
        with process(*given) as started:
            wait_for(started, "epoch ", "this run has already ended")
            time.sleep(draw.uniform(0, 0.1))
            started.kill()
            started.communicate()
        given = ("train", "--resume", run)
    with process(*given) as started:
        status, _, error = end_of(started)
    assert (status, error) == (0, "")
    assert_same_run(run, uninterrupted)


def test_a_second_signal_leaves_at_once(data: Path, tmp_path: Path) -> None:
    """While a step hangs."""
    hang = (
        "import time; from gpunn.training.learner import Learner; "
        "Learner.learn = lambda *_, **__: (print('hanging', flush=True), time.sleep(600)); "
    )
    with process(*arguments(data, tmp_path / "run"), before=hang) as started:
        wait_for(started, "hanging")
        started.send_signal(signal.SIGINT)
        wait_for(started, "SIGINT: ending after this step")
        started.send_signal(signal.SIGTERM)
        assert end_of(started)[0] == 143


def test_interrupted_before_training(data: Path, tmp_path: Path) -> None:
    """While the data are read: nothing to save, and no traceback."""
    hang = (
        "import time, gpunn.training.experiment as e; "
        "e.open_data = lambda *_, **__: (print('reading', flush=True), time.sleep(600)); "
    )
    with process(*arguments(data, tmp_path / "run"), before=hang) as started:
        wait_for(started, "reading")
        started.send_signal(signal.SIGINT)
        status, _, error = end_of(started)
    assert status == 130
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()
