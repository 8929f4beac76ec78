"""The pictures of bank conflicts: what they show, from the layouts worked out by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PICTURES = Path(__file__).parents[2] / "docs/pictures"
PAGE = (PICTURES.parent / "convolution.md").read_text()
#: The requests without the measures against conflicts, and those of the packaged headers, by name.
Recorded = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(PICTURES))
    try:
        import bank_conflicts
    finally:
        sys.path.remove(str(PICTURES))
    return bank_conflicts


@pytest.fixture(scope="module")
def recorded(script: ModuleType) -> Recorded:
    return script.recorded()


def chunk_words(line: int, chunk: int, chunks_a_line: int) -> int:
    """The first word of a chunk of 16 bytes."""
    return (line * chunks_a_line + chunk) * 4


def rows_named(swizzled: bool) -> list[int]:
    """ldmatrix of A: lanes 0 to 15 name chunk 0 of lines 0 to 15, lanes 16 to 31 chunk 1; a line has 4 chunks."""
    return [chunk_words(lane % 16, lane // 16 ^ (lane % 16 // 2 % 4 if swizzled else 0), 4) for lane in range(32)]


def columns_named(swizzled: bool) -> list[int]:
    """ldmatrix of B: the same with taps for lines, of 16 chunks each."""
    return [chunk_words(lane % 16, lane // 16 ^ (lane % 8 if swizzled else 0), 16) for lane in range(32)]


def patches_stored(row_floats: int) -> list[int]:
    """Even lanes store to row 0, odd ones to row 4; two lanes share a column."""
    return [lane % 2 * 4 * row_floats + lane // 2 for lane in range(32)]


def test_the_recorded_addresses_are_those_of_the_layout(recorded: Recorded) -> None:
    without, packaged = recorded
    assert list(without["rows"].words) == rows_named(False)
    assert list(packaged["rows"].words) == rows_named(True)
    assert list(without["columns"].words) == columns_named(False)
    assert list(packaged["columns"].words) == columns_named(True)
    assert list(without["patches"].words) == patches_stored(128)
    assert list(packaged["patches"].words) == patches_stored(132)


def test_wavefronts_by_the_fullest_bank(recorded: Recorded) -> None:
    counts = [{name: request.wavefronts for name, request in requests.items()} for requests in recorded]
    assert counts == [{"rows": 16, "columns": 32, "patches": 2}, {"rows": 4, "columns": 4, "patches": 1}]
    for requests in recorded:
        for request in requests.values():
            assert request.counted == request.wavefronts
    assert "16 wavefronts as lines come and 4 with" in PAGE
    assert "32 wavefronts as lines come and 4 with" in PAGE


def test_a_header_that_changed_is_noticed(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "WITHOUT", {"tile_product.cuh": (("no such code", ""),)})
    with pytest.raises(LookupError, match=r"tile_product\.cuh has no 'no such code'"):
        script.recorded()
