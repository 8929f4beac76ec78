"""The benchmark of convolution algorithms on small shapes: that it runs, reads its arguments, and counts rightly."""

from __future__ import annotations

import pytest

from benchmarks.cpu_convolutions import LISTS, Comparison, comparisons, describe, of_network, parse, summary
from gpunn.backend.cpu.device import open_cpu
from gpunn.geometry import Conv2dGeometry, Padding, Pair


def test_geometries_of_a_network_are_told_apart() -> None:
    found = of_network("lenet", 2)
    assert [(one.N, one.H, one.C, one.K) for one in found] == [(2, 28, 1, 20), (2, 12, 20, 50)]


def test_geometries_are_read_from_words() -> None:
    expected = Conv2dGeometry(4, 9, 8, 6, 12, 3, 2, Pair(2, 2), Padding(1, 1, 1, 1), Pair(3, 3), groups=2)
    words = "9x8x6,3x2,12,stride=2,padding=1,dilation=3,groups=2"
    assert parse(words, 4) == [expected]
    assert parse("4x" + words, 32) == [expected]
    assert parse(describe(expected), 32) == [expected]
    assert [len(parse(name, 1)) for name in LISTS] == [len(one) for one in LISTS.values()]
    with pytest.raises(ValueError, match="strides=2"):
        parse("9x8x6,3x2,12,strides=2", 4)
    for unreadable in ("no-such-list", "9x8,3x2,12", "9x8x6,3,12"):
        with pytest.raises(ValueError, match=f"'{unreadable}' is neither one of residual, "):
            parse(unreadable, 4)


def test_every_algorithm_is_timed() -> None:
    device = open_cpu(2)
    found = list(comparisons(device, parse("6x6x8,3x3,8,padding=1", 2), "auto", repeats=1))
    device.close()
    assert len(found) == 3
    for one in found:
        assert {"direct", "K-major im2col", "shifted products", "winograd F(4x4,3x3)"} <= set(one.times)
        assert one.chosen in one.times
        assert min(one.times.values()) > 0


def test_the_summary_counts_good_choices() -> None:
    found = [
        Comparison("a", {"direct": 1.0, "1x1": 2.0}, "direct"),
        Comparison("b", {"direct": 1.05, "1x1": 1.0}, "direct"),
        Comparison("c", {"direct": 3.0, "1x1": 2.0}, "direct"),
    ]
    text = summary(found)
    assert text.startswith("3 choices: 1 fastest, 2 within 10% of it; 26.2% of the time is lost in all; at worst 1.50")
    assert text.endswith(str(found[2]))
