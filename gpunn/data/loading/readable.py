"""Batches that nothing could be read of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gpunn.data.loading.batch import Batch
from gpunn.errors import DataError


def readable(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches that hold pictures; those that lack all of theirs are passed over.

    Raises:
        DataError: none of them holds any; the text names the first that is lacking.
    """
    lacking: str | None = None
    found = False
    for batch in batches:
        if len(batch):
            found = True
            yield batch
        elif lacking is None and batch.skipped:
            lacking = batch.skipped[0].reason
    if lacking is not None and not found:
        raise DataError(f"not one of the pictures can be read; {lacking}")
