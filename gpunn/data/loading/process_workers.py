"""Processes that read: a main thread that is busy in Python does not hold them up, and none of them can crash it."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from gpunn.data.loading.board import BETWEEN, Board
from gpunn.data.loading.shared_memory import MemoryFile
from gpunn.data.loading.watch import Watch
from gpunn.data.loading.workers import END_SECONDS, Job, Outcome
from gpunn.errors import DataError

_PROGRAM = (
    "import json, sys; sys.path[:], numbers = json.loads(sys.argv[1]); "
    "from gpunn.data.loading.worker_process import main; main(*numbers)"
)
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS")}


@dataclass(frozen=True)
class _Process:
    """A worker, and where its outcomes come from; it ends when nobody holds the other end of its standard input."""

    popen: Popen[bytes]
    outcomes: Connection

    def close(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        self.outcomes.close()


class ProcessWorkers:
    """Processes of the same interpreter that share memory with this one; no picture passes through a pipe.

    They take jobs, records of one size, from a pipe that all of them read, and answer through a pipe each.

    Args:
        count: how many.
        task: filler and layout of the batches, packed for them.
        memory: a board for `count` workers, and the batches.
        board: the same board.
        watch: of that board.

    Raises:
        OSError: the system refuses to start so many.
    """

    def __init__(self, count: int, task: MemoryFile, memory: MemoryFile, board: Board, watch: Watch) -> None:
        self._board = board
        self._watch = watch
        self._unsent: deque[Job] = deque()
        self._received: deque[Outcome] = deque()
        self._newest = -1
        self._pending = 0
        self._is_whole = True
        self._processes: list[_Process] = []
        self._by_descriptor: dict[int, int] = {}
        self._poll = select.poll()
        reader, self._jobs = os.pipe()
        try:
            os.set_blocking(self._jobs, False)
            os.set_blocking(reader, False)
            for worker in range(count):
                board.note(worker, BETWEEN)
                process = _start(worker, count, reader, task, memory)
                self._processes.append(process)
                self._by_descriptor[process.outcomes.fileno()] = worker
                self._poll.register(process.outcomes.fileno(), select.POLLIN)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(reader)

    def submit(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._pending += 1
            self._newest = job.number
            self._unsent.append(job)
        self._send()

    def outcome(self) -> Outcome:
        try:
            while not self._received:
                if not self._receive(self._watch.interval):
                    self._watch.look()
        except Exception:
            self._is_whole = False
            raise
        self._pending -= 1
        return self._received.popleft()

    def drop(self) -> bool:
        self._board.drop(self._newest + 1)
        self._pending -= len(self._unsent)
        self._unsent.clear()
        try:
            while self._is_whole and self._pending > len(self._received):
                self._is_whole = self._receive(END_SECONDS)
        except Exception:
            # A worker has ended, or what it wrote was cut off by an interrupt.
            self._is_whole = False
        self._received.clear()
        self._pending = 0
        return self._is_whole

    def close(self) -> None:
        if self._jobs < 0:
            return
        os.close(self._jobs)
        self._jobs = -1
        self._is_whole = False
        for process in self._processes:
            process.close()
        end = time.monotonic() + END_SECONDS
        for process in self._processes:
            _end(process.popen, max(0.0, end - time.monotonic()))

    def _send(self) -> None:
        """Hands over jobs as long as the pipe has room; the others follow when outcomes come."""
        # Records are shorter than PIPE_BUF: each is written whole or not at all. A pipe that nobody reads any more
        # is found out by whoever waits for an outcome.
        with suppress(BlockingIOError, BrokenPipeError):
            while self._unsent:
                os.write(self._jobs, self._unsent[0].packed())
                self._unsent.popleft()

    def _receive(self, seconds: float) -> bool:
        """Whether a worker said something before the time was over.

        Raises:
            DataError: a worker has ended.
            Exception: what a worker could not do.
        """
        self._send()
        ready = self._poll.poll(1000 * seconds)
        for descriptor, _ in ready:
            worker = self._by_descriptor[descriptor]
            try:
                answer: list[Outcome] | Exception = self._processes[worker].outcomes.recv()
            except (EOFError, OSError):
                raise self._death(worker) from None
            if isinstance(answer, Exception):
                raise answer
            self._received.extend(answer)
        return bool(ready)

    def _death(self, worker: int) -> DataError:
        try:
            status: int | None = self._processes[worker].popen.wait(END_SECONDS)
        except TimeoutExpired:
            status = None
        return self._watch.death(worker, status)


def _start(worker: int, count: int, jobs: int, task: MemoryFile, memory: MemoryFile) -> _Process:
    reader, writer = os.pipe()
    descriptors = (jobs, writer, task.descriptor, memory.descriptor)
    arguments = json.dumps([[os.fsdecode(folder) for folder in sys.path], [worker, count, *descriptors]])
    try:
        with _signals_blocked():
            popen = Popen(
                [sys.executable, "-P", "-c", _PROGRAM, arguments],
                stdin=PIPE,
                stdout=DEVNULL,
                bufsize=0,
                pass_fds=descriptors,
                env={**os.environ, **_ONE_THREAD},
            )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return _Process(popen, Connection(reader, writable=False))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """What is started here never receives the signals that ask a run to stop: a terminal sends them to every process
    of the run, and the run needs its workers until it has come to its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(popen: Popen[bytes], seconds: float) -> None:
    """Waits for the process to end by itself, and then no longer."""
    try:
        popen.wait(seconds)
    except TimeoutExpired:
        popen.kill()
        # A process that waits for a device cannot be killed either.
        with suppress(TimeoutExpired):
            popen.wait(END_SECONDS)
