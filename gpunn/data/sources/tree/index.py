"""The image files of a tree: read once, kept, and taken from there for as long as no folder of the tree changes."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import DataWarning
from gpunn.data.keeping.byte_strings import ByteStrings
from gpunn.data.keeping.in_threads import in_threads
from gpunn.data.keeping.kept_arrays import KeptArrays, map_kept
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.data.names import printable
from gpunn.data.sources.tree.scan import Scan, scan, state


@dataclass(frozen=True, eq=False)
class TreeIndex:
    """The image files of a tree.

    Attributes:
        paths: relative to the root, class by class, sorted by bytes in each.
        counts: int64, how many there are of each class.
        kept: the file of the cache that paths and counts are mapped from; None where they lie in this process alone.
    """

    paths: ByteStrings
    counts: npt.NDArray[np.int64]
    kept: KeptArrays | None = None


def tree_index(root: bytes, classes: list[bytes], cache: SourceCache) -> TreeIndex:
    """The images of the class folders `classes` of `root`, as `scan` finds them.

    A kept index is good while the class folders have the same names, and every folder that was read and every link
    that was followed is in the state it was in. What is passed over is told each time, as a DataWarning.
    """
    kept = cache.read("index")
    if kept is not None and _is_current(kept, root, classes):
        passed_over = zip(_strings(kept, "passed_over"), _strings(kept, "reasons"), strict=True)
        _warn(root, [(path, reason.decode("utf-8")) for path, reason in passed_over])
        return _mapped(kept)
    found = scan(root, classes)
    _warn(root, found.passed_over)
    counts = np.array([len(paths) for paths in found.images], np.int64)
    paths = ByteStrings.of(path for paths in found.images for path in paths)
    if found.settled:
        kept = cache.keep("index", len(paths), _arrays(classes, paths, counts, found))
        if kept is not None:
            return _mapped(kept)
    return TreeIndex(paths, counts)


def map_index(path: Path, digest: bytes) -> TreeIndex | None:
    """The index in a file of the cache that another process has read; None where it is there no more."""
    kept = map_kept(path, digest)
    return None if kept is None else _mapped(kept)


def _is_current(kept: KeptArrays, root: bytes, classes: list[bytes]) -> bool:
    if list(_strings(kept, "classes")) != classes:
        return False
    places = _strings(kept, "places")

    def are_same(first: int, last: int) -> bool:
        found = [state(os.path.join(root, place)) for place in places.part(first, last)]
        return bool(np.array_equal(found, kept.arrays["states"][first:last]))

    return all(in_threads(len(places), are_same, f"looking for changes in '{printable(root)}'"))


def _mapped(kept: KeptArrays) -> TreeIndex:
    return TreeIndex(_strings(kept, "paths"), kept.arrays["counts"], kept)


def _arrays(
    classes: list[bytes], paths: ByteStrings, counts: npt.NDArray[np.int64], found: Scan
) -> dict[str, npt.NDArray[np.generic]]:
    tables = {
        "classes": ByteStrings.of(classes),
        "paths": paths,
        "places": ByteStrings.of(place for place, _ in found.states),
        "passed_over": ByteStrings.of(path for path, _ in found.passed_over),
        "reasons": ByteStrings.of(reason.encode("utf-8") for _, reason in found.passed_over),
    }
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "counts": counts,
        "states": np.array([seen for _, seen in found.states], np.int64),
    }
    for name, table in tables.items():
        arrays |= {name: table.content, f"{name}.offsets": table.offsets}
    return arrays


def _strings(kept: KeptArrays, name: str) -> ByteStrings:
    return ByteStrings(kept.arrays[name], kept.arrays[f"{name}.offsets"])


def _warn(root: bytes, passed_over: list[tuple[bytes, str]]) -> None:
    for path, reason in passed_over:
        full = os.path.join(root, path)
        warnings.warn(f"'{printable(full)}' {reason}; it is passed over", DataWarning, stacklevel=2)
