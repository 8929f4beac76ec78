from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpunn.data.keeping.byte_strings import ByteStrings


@given(st.lists(st.binary(max_size=20), max_size=30))
def test_it_holds_what_a_list_holds(strings: list[bytes]) -> None:
    held = ByteStrings.of(iter(strings))
    assert len(held) == len(strings)
    assert list(held) == strings
    assert [held[index] for index in range(-len(strings), len(strings))] == strings * 2
    for first in range(len(strings) + 1):
        assert held.part(first, len(strings)) == strings[first:]


def test_many_are_gone_through_in_order() -> None:
    strings = [b"%d" % number for number in range(10_000)]
    assert list(ByteStrings.of(strings)) == strings


def test_they_lie_in_two_arrays() -> None:
    held = ByteStrings.of([b"ab", b"", b"cde"])
    assert held.content.tobytes() == b"abcde"
    assert held.offsets.tolist() == [0, 2, 2, 5]


@pytest.mark.parametrize("index", [3, -4])
def test_there_is_none_beyond_the_last(index: int) -> None:
    with pytest.raises(IndexError, match=f"string {index} of 3"):
        ByteStrings.of([b"a", b"b", b"c"])[index]
