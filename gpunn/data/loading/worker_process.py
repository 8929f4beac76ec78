"""The program of a worker process."""

from __future__ import annotations

import os
import threading
import traceback
from multiprocessing.connection import Connection

from gpunn.data.decoding.process import prepare_process
from gpunn.data.loading.board import RESTING, Board
from gpunn.data.loading.shared_memory import mapped, unpacked
from gpunn.data.loading.workers import Job, Workplace


def main(worker: int, workers: int, jobs: int, outcomes: int, task: int, memory: int) -> None:
    """Carries out jobs until the loader closes the pipe that they come from.

    Args:
        worker: the number of this one.
        workers: how many there are.
        jobs: the descriptor that jobs are read from.
        outcomes: the descriptor that outcomes are written to.
        task: the descriptor of filler and layout.
        memory: the descriptor of board and batches.
    """
    threading.Thread(target=_end_with_loader, daemon=True).start()
    answers = Connection(outcomes, readable=False)
    prepare_process()
    try:
        workplace = _workplace(workers, task, memory)
        workplace.board.note(worker, RESTING)
        # Records are written whole, so one is read whole, however many processes read.
        while record := os.read(jobs, Job.RECORD.size):
            answers.send(workplace.carry_out(Job.unpacked(record), worker))
    except BrokenPipeError:
        return
    except Exception as error:
        _send_error(answers, error)


def _workplace(workers: int, task: int, memory: int) -> Workplace:
    filler, layout = unpacked(task)
    shared = mapped(memory)
    board = Board.bytes(workers)
    return Workplace(filler, layout.batches(shared[board:]), Board(shared[:board], workers))


def _send_error(answers: Connection, error: Exception) -> None:
    text = traceback.format_exc()
    error.add_note(f"in a worker process:\n{text}")
    try:
        answers.send(error)
    except Exception:
        # Not every exception can be pickled.
        answers.send(RuntimeError(text))


def _end_with_loader() -> None:
    """The loader's process holds the other end of the standard input: when it is gone there is nobody to read for,
    even while a read from storage hangs."""
    while os.read(0, 1):
        pass
    os._exit(0)
