"""A step that is written down once and repeated: CUDA graphs, and the same for the emulator.

What is written down are launches with their arguments. Nothing that the host does between them is repeated, so
whatever changes from step to step must lie in the device's memory.
(CUDA C++ Programming Guide, CUDA Graphs, "Creating a Graph Using Stream Capture".)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from gpunn.backend.contract import Array, Memory
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.launching.device_memory import DeviceMemory
from gpunn.backend.cuda.launching.launch import CheckedLaunch, Executor
from gpunn.errors import DeviceError

#: Runs before the one that is written down: they compile and load kernels, allocate scratch and choose variants.
WARM_UP_RUNS = 2

Action = Callable[[], None]


class Recorder(Protocol):
    """Writes down what a device is told to do."""

    @property
    def is_recording(self) -> bool:
        """Whether actions are being written down, not carried out."""

    def do(self, action: Action) -> None:
        """Carry out a launch or a copy within the device, or write it down."""

    def record(self, run: Action) -> Action:
        """Everything that `run` does on the device, as one function that does it; `run` itself changes nothing."""


class ListRecorder:
    """The recorder of the emulator: a list of actions."""

    def __init__(self) -> None:
        self._actions: list[Action] | None = None

    @property
    def is_recording(self) -> bool:
        """Whether actions are being written down, not carried out."""
        return self._actions is not None

    def do(self, action: Action) -> None:
        """Carry out, or write down."""
        if self._actions is None:
            action()
        else:
            self._actions.append(action)

    def record(self, run: Action) -> Action:
        """The actions of `run` as one function."""
        actions: list[Action] = []
        self._actions = actions
        try:
            run()
        finally:
            self._actions = None

        def replay() -> None:
            for action in actions:
                action()

        return replay


class StreamRecorder:
    """The recorder of a GPU: CUDA itself writes down what reaches the stream."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._is_recording = False

    @property
    def is_recording(self) -> bool:
        """Whether the stream is being captured."""
        return self._is_recording

    def do(self, action: Action) -> None:
        """Hand it to the stream, which runs it or writes it down."""
        action()

    def record(self, run: Action) -> Action:
        """A CUDA graph of `run`.

        Raises:
            DeviceError: when CUDA cannot capture what it does.
        """
        stream = self._gpu.stream
        with self._gpu.at_work("capturing a step as a CUDA graph"):
            stream.begin_capture()
            self._is_recording = True
            try:
                run()
            except BaseException:
                self._abandon()
                raise
            finally:
                self._is_recording = False
            graph = stream.end_capture()

        def replay() -> None:
            with self._gpu.at_work("running a captured step"):
                graph.launch(stream)

        return replay

    def _abandon(self) -> None:
        """End a capture that went wrong. CUDA may have ended it already, and the first error is the one to tell."""
        try:
            self._gpu.stream.end_capture()
        except (self._gpu.cupy.cuda.runtime.CUDARuntimeError, self._gpu.cupy.cuda.driver.CUDADriverError):
            return


class RecordedRun:
    """Runs as it is at first, then once to be written down, then from what was written down.

    Args:
        run: what to do; the device must be told the same at every call.
        recorder: of the device.
    """

    def __init__(self, run: Action, recorder: Recorder) -> None:
        self._run = run
        self._recorder = recorder
        self._warm_ups = 0
        self._replay: Action | None = None

    def __call__(self) -> None:
        """The next run."""
        if self._recorder.is_recording:
            self._run()
        elif self._replay is not None:
            self._replay()
        elif self._warm_ups < WARM_UP_RUNS:
            self._run()
            self._warm_ups += 1
        else:
            self._replay = self._recorder.record(self._run)
            self._replay()


class RecordedExecutor:
    """An executor whose launches can be written down."""

    def __init__(self, executor: Executor, recorder: Recorder) -> None:
        self._executor = executor
        self._recorder = recorder

    def execute(self, launch: CheckedLaunch) -> None:
        """Start a kernel, or write down that it is to be started."""
        self._recorder.do(lambda: self._executor.execute(launch))

    def close(self) -> None:
        """Give back what the executor holds."""
        self._executor.close()


class RecordedMemory:
    """A memory that refuses, while a step is written down, what would not be repeated with it."""

    def __init__(self, memory: DeviceMemory, recorder: Recorder) -> None:
        self._memory = memory
        self._recorder = recorder
        self.array_type = memory.array_type
        self.view = memory.view
        self.owns = memory.owns
        self.is_writable = memory.is_writable
        self.address = memory.address
        self.free_bytes = memory.free_bytes
        self.pin = memory.pin
        self.copied = memory.copied

    def allocate(self, size: int) -> Memory:
        """`size` bytes, zero."""
        self._refuse(f"allocates {size} bytes")
        return self._memory.allocate(size)

    def copy(self, y: Array, x: Array) -> None:
        """y = x, now and at every repetition."""
        self._recorder.do(lambda: self._memory.copy(y, x))

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Copy values in."""
        self._refuse("copies from the host")
        self._memory.upload(array, host)

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """A contiguous copy on the host."""
        self._refuse("copies to the host")
        return self._memory.download(array)

    def synchronize(self) -> None:
        """Wait until everything that was started has ended."""
        self._refuse("waits for the device")
        self._memory.synchronize()

    def _refuse(self, what: str) -> None:
        refuse_while_recording(self._recorder, what)


def refuse_while_recording(recorder: Recorder, what: str) -> None:
    """Keep out of a recorded step what the host alone does.

    Args:
        recorder: of the device.
        what: the step does, such as "allocates memory".

    Raises:
        DeviceError: while a step is being recorded.
    """
    if recorder.is_recording:
        raise DeviceError(
            f"a step that is being recorded {what}, which would not be repeated with it; do that before the step, or "
            f"in one of its first {WARM_UP_RUNS} runs"
        )
