"""Work on a great many samples by threads, with the results in order and few of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AHEAD = 4
"""Results that may wait for each worker, so that a slow one does not hold up the others."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Generator[Result, None, None]:
    """What `work` gives for each item, in the order of the items.

    Closing the generator, or an error of `work`, ends the threads; work that nobody has begun is dropped.
    """
    waiting: deque[Future[Result]] = deque()
    threads = ThreadPoolExecutor(workers, "gpunn-making")
    try:
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
