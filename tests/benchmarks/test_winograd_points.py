"""What rounding costs with some points of interpolation: an example by hand, symmetries, and the product's matrices."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.winograd_points import amplification, best, main
from gpunn.backend.cpu.convolution_algorithms.winograd.transforms import POINTS, exact_transforms


def test_an_example_by_hand() -> None:
    # |A_j|^2 = 1 2 2 1; |B_j|^2 = 2 2 2 2, of x^2 - 1, x^2 + x, x^2 - x, x^3 - x; |G_j|^2 = 1 3/4 3/4 1.
    assert amplification([0, 1, -1], 2, 3) == pytest.approx((2 + 3 + 3 + 2) / 6)


def test_mirrored_and_inverted_points_cost_the_same() -> None:
    points = [1.0, -1.0, 0.5, -2.0, 3.0]
    assert amplification([-point for point in points], 4, 3) == pytest.approx(amplification(points, 4, 3))
    # Zero and infinity change places.
    inverted = [0.0, *(1 / point for point in points)]
    assert amplification(inverted, 5, 3) == pytest.approx(amplification([0.0, *points], 5, 3))


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 3), (5, 3), (6, 3), (4, 5)])
def test_it_is_that_of_the_matrices(m: int, r: int) -> None:
    """Whatever number a row of B^T is multiplied by; the second column of A^T has the points."""
    exact = exact_transforms(POINTS[m + r - 2], r)
    inputs, filters, outputs = (np.array(matrix, np.float64) for matrix in (exact.inputs, exact.filters, exact.outputs))
    terms = (outputs**2).sum(axis=0) * (inputs**2).sum(axis=1) * (filters**2).sum(axis=1)
    points = outputs[1, :-1]
    assert amplification(list(points), m, r) == pytest.approx(terms.sum() / (m * r))


def test_the_search_finds_the_least_first(capsys: pytest.CaptureFixture[str]) -> None:
    (least, points), (next_, _) = best(2, 3, 2)
    assert set(points) == {0, 1, -1}
    assert least == pytest.approx(10 / 6)
    assert least < next_
    main(["--outputs", "2", "--count", "1"])
    assert capsys.readouterr().out.split() == ["1.67", *map(str, points)]
    main(["--points", "0 1 -1 2 -2"])
    assert capsys.readouterr().out.strip() == "10.77"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--points", "0 1 -1"], "5 points besides infinity, not 3"),
        (["--points", "0 1 -1 2 2"], "hold one twice"),
        (["--points", "0 1 -1 2 x"], "are no numbers such as 0 1 -1 1/2 -2"),
        (["--outputs", "1", "--taps", "1"], "F(1x1,1x1) has no points to choose"),
    ],
)
def test_a_set_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert told in capsys.readouterr().err
