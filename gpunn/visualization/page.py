"""Pictures that are finished, and how they become files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpunn.data.names import printable
from gpunn.durable_files import describe_write_failure, replace_file
from gpunn.errors import UsageError

_LONGEST_PART = 60


@dataclass(frozen=True)
class Page:
    """A file that has not been written yet: a PNG, or a table beside one.

    Attributes:
        name: of the file.
        content: its bytes.
    """

    name: str
    content: bytes


def file_name(*parts: str) -> str:
    """The parts with hyphens between them, whatever characters they have, and ".png"."""
    readable = (re.sub(r"[^\w.-]+", "-", printable(part))[:_LONGEST_PART].strip("-.") for part in parts)
    return f"{'-'.join(part for part in readable if part)}.png"


def write_pages(pages: Iterable[Page], folder: Path) -> Iterator[Path]:
    """Write every page into a folder, which is made if need be, and give its path once it is there.

    Raises:
        UsageError: when the folder cannot be made or written to.
    """
    elsewhere = "another folder with --out"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder '{printable(folder)}': {error.strerror or error}; give {elsewhere}"
        ) from error
    for page in pages:
        path = folder / page.name
        try:
            replace_file(path, [page.content])
        except OSError as error:
            raise UsageError(describe_write_failure(path, error, elsewhere)) from error
        yield path
