"""One worker process as the process that made it sees it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import Pipe

from gpunn.data.checking.examination import Finding
from gpunn.data.dataset import EncodedDataset
from gpunn.errors import DataError

# Neither a fork, which would copy locks and devices that others hold, nor a start that runs the main program again.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from gpunn.data.checking.worker_process import main; main(int(sys.argv[1]))"
)

_PATIENCE_AT_END = 1.0


class Worker:
    """A process that runs `gpunn.data.checking.worker_process`.

    Raises:
        DataError: it cannot be started.

    Attributes:
        connection: where its answers arrive.
        pending: what it was given and has not answered; it is at the first of them.
        ended: whether it was found to be dead.
    """

    def __init__(self) -> None:
        self.connection, other = Pipe()
        self.pending: deque[int] = deque()
        self.ended = False
        self._heard = time.monotonic()
        with other:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, str(other.fileno()), *sys.path],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[other.fileno()],
                    # An interruption from the terminal is for the process that asked.
                    process_group=0,
                )
            except OSError as error:
                self.connection.close()
                raise DataError(
                    f"a process to read pictures with cannot be started: {error}; use fewer workers"
                ) from error

    def introduce(self, dataset: EncodedDataset, decoder: str) -> None:
        """Tell it what it will read.

        Raises:
            DataError: it has ended.
        """
        try:
            self.connection.send((dataset, decoder))
        except OSError as error:
            raise self._start_failure() from error

    def give(self, task: Sequence[int]) -> None:
        """Have it read these pictures."""
        self.pending.extend(task)
        self._heard = time.monotonic()
        try:
            self.connection.send(task)
        except OSError:
            # It is dead, which its connection tells the next time that it is listened to.
            return

    def seconds(self) -> float:
        """How long it has been at its picture; 0 where it is at none."""
        return time.monotonic() - self._heard if self.pending else 0.0

    def hear(self) -> Finding | None:
        """Its next message, for which this waits; None when it says that it is ready.

        A process that has died counts as having found its picture bad.

        Raises:
            DataError: it has died before it was given a picture.
        """
        try:
            finding: Finding | None = self.connection.recv()
        except (EOFError, OSError) as error:
            if not self.pending:
                raise self._start_failure() from error
            self.ended = True
            return Finding(self.pending.popleft(), reason=f"the process that read it {self._death()}")
        self._heard = time.monotonic()
        if finding is not None:
            self.pending.popleft()
        return finding

    def end(self) -> None:
        """Kill it; it holds nothing that could be lost."""
        self.connection.close()
        self._process.kill()
        try:
            self._process.wait(_PATIENCE_AT_END)
        except subprocess.TimeoutExpired:
            # Storage that hangs holds a process until it answers; nobody can wait for that.
            return

    def _start_failure(self) -> DataError:
        return DataError(f"a process to read pictures with {self._death()} before it read any")

    def _death(self) -> str:
        try:
            status = self._process.wait(_PATIENCE_AT_END)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        if status >= 0:
            return f"ended with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
