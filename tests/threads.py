"""Threads of the CPU that all take part, however little there is to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from gpunn.backend.cpu.device import CpuDevice

#: Seconds that a test waits for another thread before it fails.
PATIENCE = 20


def at_once(parallel: Callable[..., None]) -> Callable[..., None]:
    """CpuDevice.parallel whose threads begin together: none takes over the share of another."""

    def run(device: CpuDevice, work: Callable[[int], None], chunks: Sequence[int], threads: int | None = None) -> None:
        first = chunks[: min(threads or device.threads, len(chunks))]
        together = threading.Barrier(max(1, len(first)))

        def begin(chunk: int) -> None:
            if chunk in first:
                together.wait(PATIENCE)
            work(chunk)

        parallel(device, begin, chunks, threads)

    return run
