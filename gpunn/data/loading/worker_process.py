"""The program of a worker process."""

from __future__ import annotations

import os
import select
import threading
import traceback
from multiprocessing.connection import Connection

from gpunn.data.decoding.process import prepare_process
from gpunn.data.loading.board import RESTING, Board
from gpunn.data.loading.shared_memory import mapped, unpacked
from gpunn.data.loading.workers import Job, Outcome, Workplace


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
        _work(workplace, worker, jobs, answers)
    except BrokenPipeError:
        return
    except Exception as error:
        _send_error(answers, error)


def _work(workplace: Workplace, worker: int, jobs: int, answers: Connection) -> None:
    """Carries out jobs, and tells the outcomes as soon as the next job is of another batch, or there is none.

    So whoever waits for a batch is woken once by each worker, not by each job, and to be woken takes most of its time.
    """
    is_readable = select.poll()
    is_readable.register(jobs, select.POLLIN)
    outcomes: list[Outcome] = []
    slot = -1
    while True:
        try:
            # Records are written whole, so one is read whole, however many processes read.
            record = os.read(jobs, Job.RECORD.size)
        except BlockingIOError:
            if outcomes:
                answers.send(outcomes)
                outcomes = []
            is_readable.poll()
            continue
        if not record:
            return
        job = Job.unpacked(record)
        if outcomes and job.slot != slot:
            answers.send(outcomes)
            outcomes = []
        slot = job.slot
        outcomes.append(workplace.carry_out(job, worker))


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
