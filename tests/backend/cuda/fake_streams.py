"""Streams, events and graphs of the fake CuPy, as strict about order as a GPU.

Nothing on a stream happens before somebody waits for it, or, on the streams that a test calls eager, as soon as it may:
between the two lies every order in which a GPU can do it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.backend.cuda.fake_cupy import Machine

CAPTURE_UNSUPPORTED = 900


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int, text: str = "cudaErrorSomething: some words") -> None:
        self.status = status
        super().__init__(text)


class CUDADriverError(RuntimeError):
    def __init__(self, status: int, text: str = "CUDA_ERROR_SOMETHING: some words") -> None:
        self.status = status
        super().__init__(text)


class Stream:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.number = len(machine.streams)
        self.ptr = id(self)
        self.waiting: list[Callable[[], None]] = []
        self.captured: list[Callable[[], None]] | None = None
        self.given = self.done = 0
        self.is_busy = False
        machine.streams.append(self)

    def put(self, action: Callable[[], None]) -> None:
        assert self.machine.current, "no GPU is current"
        if self.captured is not None:
            self.captured.append(action)
            return
        self.waiting.append(action)
        self.given += 1
        self.machine.hurry()

    @property
    def is_ready(self) -> bool:
        return bool(self.waiting) and not self.is_busy and getattr(self.waiting[0], "is_reached", True)

    def advance(self) -> None:
        assert not self.is_busy, "a stream waits for itself"
        self.is_busy = True
        self.waiting.pop(0)()
        self.is_busy = False
        self.done += 1
        self.machine.hurry()

    def wait_event(self, event: Event) -> None:
        assert self.captured is None, "the event lies outside of the graph"
        if event.mark is not None:
            self.put(event.mark)

    def synchronize(self) -> None:
        if self.captured is not None:
            raise CUDARuntimeError(CAPTURE_UNSUPPORTED)
        self.machine.fail("synchronize")
        while self.waiting:
            self.advance()

    def begin_capture(self) -> None:
        self.captured = []

    def end_capture(self) -> Graph:
        actions, self.captured = self.captured, None
        assert actions is not None
        self.machine.fail("end_capture")
        return Graph(actions)


class Graph:
    def __init__(self, actions: list[Callable[[], None]]) -> None:
        self.actions = actions

    def launch(self, stream: Stream) -> None:
        for action in self.actions:
            stream.put(action)


@dataclass(frozen=True)
class Mark:
    """A place on a stream; to be called is to wait for it."""

    stream: Stream
    place: int

    @property
    def is_reached(self) -> bool:
        return self.stream.done >= self.place

    def __call__(self) -> None:
        while not self.is_reached:
            self.stream.advance()


class Event:
    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.mark: Mark | None = None
        self.time = 0.0

    def record(self, stream: Stream) -> None:
        """Whoever waits from now on waits for this; who waits already goes on waiting for the record before."""
        assert stream.captured is None
        stream.put(lambda: setattr(self, "time", stream.machine.clock))
        self.mark = Mark(stream, stream.given)

    def synchronize(self) -> None:
        if self.mark is not None:
            self.mark.stream.machine.fail("synchronize")
            self.mark()
