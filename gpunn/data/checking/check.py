"""Looking at every picture of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from gpunn.data.checking.collection import Collection
from gpunn.data.checking.crew import Crew
from gpunn.data.checking.examination import Finding, Findings, examine_pixels
from gpunn.data.checking.report import Report, report
from gpunn.data.dataset import Dataset, EncodedDataset

DECODER = "auto"

TIMEOUT = 60.0
"""Seconds after which a picture is given up."""

_TASK_PICTURES = 256


def check(
    collection: Collection,
    *,
    workers: int,
    timeout: float = TIMEOUT,
    progress: Callable[[int], object] = lambda pictures: None,
) -> Report:
    """Reads and decodes every picture once and says what was found.

    Image files are decoded by processes of their own, one picture at a time in each: one that kills a decoder or
    cannot be read in time is bad, and the others are read all the same. Of a picture some 30 bytes are kept.

    Args:
        collection: what to look at.
        workers: how many read at the same time.
        timeout: seconds after which a picture is given up.
        progress: called with the number of pictures that were read since it was called before.

    Raises:
        DataError: no process can be started, or the storage does not answer.
    """
    every = []
    for half in collection.halves:
        findings = Findings.of(len(half.dataset))
        for finding in _find(half.dataset, workers, timeout):
            findings.note(finding)
            progress(1)
        every.append(findings)
    return report(collection, every)


def _find(dataset: Dataset, workers: int, timeout: float) -> Iterator[Finding]:
    if isinstance(dataset, EncodedDataset):
        with Crew(dataset, DECODER, workers, timeout) as crew:
            yield from crew.findings()
    else:
        yield from _find_in_memory(dataset, workers)


def _find_in_memory(dataset: Dataset, workers: int) -> Iterator[Finding]:
    """By threads: pixels need no decoder that could fail, and hashing them leaves the interpreter to others."""

    def task(first: int) -> list[Finding]:
        last = min(first + _TASK_PICTURES, len(dataset))
        return [examine_pixels(dataset, index) for index in range(first, last)]

    with ThreadPoolExecutor(workers, "gpunn-check") as threads:
        for findings in threads.map(task, range(0, len(dataset), _TASK_PICTURES)):
            yield from findings
