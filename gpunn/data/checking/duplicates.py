"""Pictures that are the same, by their hashes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def equal_groups(digests: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.int64]]:
    """The rows that occur more than once: for each value the places where it stands, ascending; by first place.

    Args:
        digests: (N, 16).
    """
    values = np.ascontiguousarray(digests).view("<u8")
    order = np.lexsort((values[:, 1], values[:, 0]))
    ordered = values[order]
    same = np.zeros(len(order) + 1, np.bool_)
    same[1:-1] = (ordered[1:] == ordered[:-1]).all(axis=1)
    # A group is a run of rows, each like the one before it.
    starts = np.flatnonzero(~same[:-1] & same[1:])
    ends = np.flatnonzero(same[:-1] & ~same[1:]) + 1
    groups = [np.sort(order[start:end]).astype(np.int64) for start, end in zip(starts, ends, strict=True)]
    return sorted(groups, key=lambda group: int(group[0]))
