"""gpunn train whose worker process is killed: told at once, and gone on with as if nothing had been."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Gpunn
from tests.cli.test_interruption import end_of, process, wait_for
from tests.data.pictures import write_tree
from tests.training.runs import assert_same_run, records_of

EPOCHS = 12


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name, in parentheses, may hold anything; the parent is the second number behind it.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found


def arguments(data: Path, out: Path, kind: str) -> tuple[object, ...]:
    return (
        *("train", "--data", data, "--model", "mlp", "--epochs", EPOCHS, "--batch-size", 8, "--accumulate", 2),
        *("--device", "cpu", "--workers", 1, "--out", out, "--set", "threads=1", "--set", "image_size=8"),
        *("--set", f"worker_kind={kind}"),
    )


@pytest.mark.usefixtures("no_curves")
def test_a_killed_worker(gpunn: Gpunn, tmp_path: Path) -> None:
    """The other run reads with threads: their batches are the same."""
    data = tmp_path / "photographs"
    write_tree(data / "train", {"ant": 30, "bee": 30})
    write_tree(data / "val", {"ant": 3, "bee": 3}, 70)
    assert gpunn(*arguments(data, tmp_path / "whole", "threads")).status == 0
    run = tmp_path / "run"
    with process(*arguments(data, run, "processes")) as started:
        wait_for(started, "epoch ")
        workers = children(started.pid)
        assert workers
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        status, _, error = end_of(started)
    assert (status, error.count("\n")) == (3, 1)
    assert "SIGKILL" in error
    assert f"gpunn train --resume {run}" in error
    assert len(records_of(run)) < EPOCHS
    with process("train", "--resume", run, "--workers", 2) as started:
        wait_for(started, "epoch ")
        workers = children(started.pid)
        status, _, error = end_of(started)
    assert (status, error) == (0, "")
    assert_same_run(run, tmp_path / "whole")
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
