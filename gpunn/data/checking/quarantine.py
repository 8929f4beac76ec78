"""Pictures that training leaves out: a file of JSON lines, {"path": KEY, "reason": TEXT}, one for each of them.

The keys are those of `sample_key`. A file is ASCII; bytes of a path that are not UTF-8 stand as surrogates (RFC 8259,
section 8.2), so `os.fsencode` of what a JSON parser gives is the name on the disk.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from gpunn.data.checking.keys import sample_key
from gpunn.data.dataset import Dataset, DataWarning, Split
from gpunn.data.names import printable
from gpunn.data.selection import select
from gpunn.durable_files import append_to_file, replace_file
from gpunn.errors import DataError

SHOWN_KEYS = 5
"""How many keys or classes a warning shows."""


def read_quarantine(path: Path) -> dict[str, str]:
    """The reason for each key, in the order of the file; the first one where a key is met again.

    What is left of a last line that could not be written to its end is passed over with a DataWarning.

    Raises:
        DataError: the file cannot be read, or a line of it is not what it should be.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(
            f"the quarantine '{printable(path)}' cannot be read: {error.strerror}; give a file that "
            "gpunn data check --quarantine wrote"
        ) from error
    reasons: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        entry = _parse(line)
        if entry is not None:
            reasons.setdefault(*entry)
        elif number == len(lines) and line.strip():
            warnings.warn(
                f"the last line of the quarantine '{printable(path)}' was not written to its end; it is passed over",
                DataWarning,
                stacklevel=2,
            )
        elif line.strip():
            raise DataError(
                f"line {number} of the quarantine '{printable(path)}' is not of the form "
                '{"path": "...", "reason": "..."}; mend or remove it'
            )
    return reasons


def write_quarantine(path: Path, reasons: Mapping[str, str]) -> None:
    """Make a quarantine of these entries, in place of any that is there.

    Raises:
        OSError: it cannot be written; the old file is intact.
    """
    replace_file(path, [_lines(reasons)])


def append_to_quarantine(path: Path, reasons: Mapping[str, str]) -> None:
    """Add entries at the end of a quarantine, which is made if it is not there, and flush them to the disk.

    Raises:
        OSError: it cannot be written; no part of these entries stays behind.
    """
    append_to_file(path, _begin_line(path) + _lines(reasons))


def without_quarantined(split: Split, reasons: Mapping[str, str]) -> Split:
    """The split without the pictures whose keys are in `reasons`; labels and classes keep their meaning.

    Its description says how many were left out. Keys that no picture has are told in a DataWarning: the quarantine may
    belong to another data set. So are classes of which no training picture is left.

    Raises:
        DataError: what is left cannot be trained on.
    """
    unmatched = set(reasons)
    train = _without(split.train, "train", reasons, unmatched)
    validation = _without(split.validation, "validation", reasons, unmatched)
    if unmatched:
        shown = ", ".join(f"'{printable(key)}'" for key in sorted(unmatched)[:SHOWN_KEYS])
        warnings.warn(
            f"{len(unmatched)} of {len(reasons)} quarantined paths are not in the data set, such as {shown}; "
            "is the quarantine of another data set?",
            DataWarning,
            stacklevel=2,
        )
    emptied = np.setdiff1d(split.train.labels, train.labels)
    if emptied.size and split.train.classes:
        shown = ", ".join(f"'{split.train.classes[label]}'" for label in emptied[:SHOWN_KEYS].tolist())
        warnings.warn(
            f"the quarantine leaves no training images of {emptied.size} of the {len(split.train.classes)} classes, "
            f"such as {shown}, which cannot be learned",
            DataWarning,
            stacklevel=2,
        )
    left_out = len(split.train) + len(split.validation) - len(train) - len(validation)
    description = f"{split.description}; {left_out} left out by the quarantine"
    return replace(split, train=train, validation=validation, description=description) if left_out else split


def _without(dataset: Dataset, half: str, reasons: Mapping[str, str], unmatched: set[str]) -> Dataset:
    kept = np.ones(len(dataset), np.bool_)
    for index in range(len(dataset)):
        key = sample_key(dataset, half, index)
        if key in reasons:
            kept[index] = False
            unmatched.discard(key)
    return dataset if kept.all() else select(dataset, np.flatnonzero(kept).astype(np.int64))


def _parse(line: bytes) -> tuple[str, str] | None:
    try:
        match json.loads(line):
            case {"path": str(key), "reason": str(reason)}:
                return key, reason
    except (ValueError, RecursionError):
        pass
    return None


def _lines(reasons: Mapping[str, str]) -> bytes:
    return b"".join(
        json.dumps({"path": key, "reason": reason}).encode("ascii") + b"\n" for key, reason in reasons.items()
    )


def _begin_line(path: Path) -> bytes:
    """What has to be written before a new line; the rest of an entry that was not written to its end is removed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    last = content[content.rfind(b"\n") + 1 :]
    if _parse(last):
        return b"\n"
    os.truncate(path, len(content) - len(last))
    return b""
