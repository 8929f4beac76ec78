"""The same work for a great many files, done by threads: while one waits for the disk or the network, others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

THREADS = 16
"""More than the cores: they wait for storage, not for the processor."""

PART = 2048
_SILENT_SECONDS = 2.0

Result = TypeVar("Result")


def in_threads(count: int, work: Callable[[int, int], Result], task: str) -> Iterator[Result]:
    """What `work(first, last)` gives for each part of `count` files, in order.

    Args:
        count: how many files.
        work: called by several threads at once, for files `first` to `last` - 1.
        task: what to call it on a terminal while it lasts.
    """
    parts = [(first, min(first + PART, count)) for first in range(0, count, PART)]
    with progress(task, count) as bar, ThreadPoolExecutor(THREADS, "gpunn-files") as threads:
        try:
            for (first, last), result in zip(parts, threads.map(lambda part: work(*part), parts), strict=True):
                bar.update(last - first)
                yield result
        finally:
            # After an error, or an interruption, parts that nobody has begun are not wanted.
            threads.shutdown(cancel_futures=True)


def progress(task: str, count: int | None = None) -> tqdm:
    """A bar on a terminal, for work on files that turns out to last."""
    return tqdm(
        total=count, desc=task, unit=" files", unit_scale=True, delay=_SILENT_SECONDS, leave=False, disable=None
    )
