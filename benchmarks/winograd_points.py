"""Points of interpolation for Winograd's transforms: what rounding each set costs, and a search for better ones.

    python -m benchmarks.winograd_points --outputs 4 --taps 3

Let A_j be the column of A^T, and B_j and G_j the rows of B^T and G, that belong to point j
(gpunn.backend.cpu.convolution_algorithms.winograd.transforms). With white inputs and filters, product j has the
variance |B_j|^2 |G_j|^2 and comes into output i times A_ij, where the sum over j has the variance r. Each product is
rounded to a share of itself, so the roundings are the larger, beside the result, the larger

    amplification = sum over j of |A_j|^2 |B_j|^2 |G_j|^2 / (m r)

is: this is a ratio of variances along one axis, hence one of deviations in two dimensions. It is the same for the
forward pass, the gradient of the data and that of the filters, which only exchange the three, and scaling a row does
not change it. Relative L2 errors of float32 are 1.6e-7 times as large in the forward pass of 64 channels of noise, and
up to twice that in the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from fractions import Fraction
from heapq import nsmallest
from itertools import combinations

import numpy as np

#: Numbers to choose from, with their negatives. Sums of few powers of two have short powers, which float32 holds.
CANDIDATES = ("1/8", "1/4", "3/8", "1/2", "3/4", "1", "3/2", "2", "5/2", "3")
#: Outputs and taps together, from which on there is a point besides infinity.
FEWEST = 3


def amplification(points: Sequence[float], m: int, r: int) -> float:
    """Of rounding errors, by F(m x m, r x r) with these m + r - 2 points and infinity."""
    total = float(sum(coefficient**2 for coefficient in np.poly(points)))
    for place, point in enumerate(points):
        others = [*points[:place], *points[place + 1 :]]
        denominator = np.prod([point - other for other in others])
        outputs = sum(point ** (2 * i) for i in range(m))
        filters = sum(point ** (2 * k) for k in range(r)) / denominator**2
        total += outputs * filters * sum(coefficient**2 for coefficient in np.poly(others))
    return float(total / (m * r))


def candidate_sets(m: int, r: int) -> Iterator[tuple[Fraction, ...]]:
    """All sets of candidates that hold 1, where sums of outputs are had for nothing."""
    numbers = [Fraction(text) for text in CANDIDATES]
    others = [number for number in (Fraction(0), *numbers, *(-number for number in numbers)) if number != 1]
    for rest in combinations(others, m + r - 3):
        yield (Fraction(1), *rest)


def best(m: int, r: int, count: int) -> list[tuple[float, tuple[Fraction, ...]]]:
    """The sets that amplify least, the best first."""
    found = ((amplification([float(p) for p in points], m, r), points) for points in candidate_sets(m, r))
    return nsmallest(count, found)


def main(given: Sequence[str] | None = None) -> None:
    """Print the best sets, or the amplification of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", type=int, default=4, help="m, along one axis")
    parser.add_argument("--taps", type=int, default=3, help="r")
    parser.add_argument("--points", help='of one set, such as "0 1 -1 1/2 -2"')
    parser.add_argument("--count", type=int, default=5)
    options = parser.parse_args(given)
    m, r = options.outputs, options.taps
    if min(m, r) < 1 or m + r < FEWEST:
        parser.error(f"F({m}x{m},{r}x{r}) has no points to choose; ask for more --outputs or --taps")
    if options.points is not None:
        try:
            points = [float(Fraction(text)) for text in options.points.split()]
        except (ValueError, ZeroDivisionError):
            parser.error(f"--points {options.points!r} are no numbers such as 0 1 -1 1/2 -2")
        if len(set(points)) < len(points):
            parser.error(f"--points {options.points!r} hold one twice; each has to differ from all others")
        if len(points) != m + r - 2:
            parser.error(f"F({m}x{m},{r}x{r}) has {m + r - 2} points besides infinity, not {len(points)}")
        print(f"{amplification(points, m, r):.2f}")
        return
    for amplified, chosen in best(m, r, options.count):
        print(f"{amplified:6.2f}  {' '.join(map(str, chosen))}")


if __name__ == "__main__":
    main()
