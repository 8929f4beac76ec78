"""Ctrl-C and SIGTERM during training: the first asks for an orderly end, the second leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptionGuard:
    """While entered, SIGINT and SIGTERM set `requested` in place of ending the process.

    The trainer looks at `requested` after each step, writes its snapshot and exits with `exit_code`. A second
    signal ends the process at once with 128 + its number, the shell's convention. Only the main thread can receive
    signals: entered in another, the guard changes nothing and `requested` stays None.

    Args:
        announce: called once, in the main thread, at the first signal, with a line for the user; a step can take
            seconds, and whoever pressed Ctrl-C wants to know that it was heard.
    """

    def __init__(self, announce: Callable[[str], None] | None = None) -> None:
        self.requested: signal.Signals | None = None
        self._announce = announce
        self._handlers_before: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int | None:
        """130 after SIGINT, 143 after SIGTERM, None when nothing was requested."""
        return None if self.requested is None else 128 + self.requested

    def __enter__(self) -> InterruptionGuard:
        self.requested = None
        if threading.current_thread() is threading.main_thread():
            # Also where SIGINT is ignored, as shells start background jobs: a run must be stoppable.
            for number in _SIGNALS:
                self._handlers_before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers_before.items():
            # None stands for a handler that was not set from Python and cannot be set again from it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._handlers_before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None:
            os._exit(128 + number)
        self.requested = signal.Signals(number)
        if self._announce is not None:
            self._announce(f"{self.requested.name}: ending after this step; a second signal leaves at once")
