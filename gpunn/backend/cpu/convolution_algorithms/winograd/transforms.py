"""The matrices of Winograd's minimal filtering, made from the points at which polynomials are interpolated.

F(m, r) computes m outputs y[i] = sum over k of d[i + k] * g[k] of a filter with r taps from n = m + r - 1 inputs with n
products instead of m * r (Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms
for convolutional neural networks", 2016, section 4). In two dimensions the same is done along rows and columns.

Multiplying two polynomials of degrees m - 1 and r - 1, u and g, gives one of degree n - 1, which n of its values
determine. Its values at the points a_0 ... a_{n-2}, and its leading coefficient (its value at infinity), are products
of those of u and g; interpolation by Lagrange's polynomials gives the coefficients back (Toom and Cook). Filtering is
that map transposed with respect to u and the product (Winograd's transposition principle): with

    A^T[i, j] = a_j^i                            values of u, transposed, and a 1 for infinity in the last row
    G[j, k]   = a_j^k / prod over l != j of (a_j - a_l)          values of g, with Lagrange's denominators
    B^T[j, :] = coefficients of prod over l != j of (x - a_l)    Lagrange's numerators, transposed;
                those of the product over all l for infinity

it is y = A^T [(G g) * (B^T d)], that is, for all i, k, l

    sum over j of A^T[i, j] * G[j, k] * B^T[j, l] = 1 where l = i + k, else 0.

A row of B^T may be multiplied by a number by which the same row of G is divided. Here that makes the rows of B^T whole
numbers where they can be, so that inputs are multiplied by short numbers without rounding them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm, prod
from typing import Any

import numpy as np

Matrix = tuple[tuple[Fraction, ...], ...]

#: Finite points for each number of them. Small numbers, their inverses and opposite signs keep the matrices' numbers
#: small, and so the rounding errors (Barabasz et al., "Error analysis and improving the accuracy of Winograd
#: convolution for deep neural networks", 2020, section 5); these round least of the sets of short numbers that
#: benchmarks/winograd_points.py tries. Each holds 1, at which values are sums.
POINTS: Mapping[int, tuple[Fraction, ...]] = {
    len(texts): tuple(map(Fraction, texts))
    for texts in (
        ("0", "1", "-1"),
        ("0", "1", "-1", "1/2", "-2"),
        ("1", "-1/4", "3/8", "-3/4", "-3/2", "2"),
        ("0", "1", "-1", "2", "-2", "1/2", "-1/2"),
    )
}


@dataclass(frozen=True)
class ExactTransforms:
    """The three matrices in rational numbers.

    Attributes:
        inputs: B^T, (n, n).
        filters: G, (n, r).
        outputs: A^T, (m, n).
    """

    inputs: Matrix
    filters: Matrix
    outputs: Matrix


@dataclass(frozen=True)
class Transforms:
    """The three matrices in floating-point numbers, for m outputs of r taps.

    Attributes:
        outputs_per_tile: m.
        taps: r.
        size: n = m + r - 1.
        inputs: B^T, (n, n).
        filters: G along rows and columns at once, (n * n, r * r).
        outputs: A^T, (m, n).
        one: the index of the point 1, for which u's values are sums: A^T[:, one] is 1 in every row.
    """

    outputs_per_tile: int
    taps: int
    size: int
    inputs: np.ndarray[Any, Any]
    filters: np.ndarray[Any, Any]
    outputs: np.ndarray[Any, Any]
    one: int


def exact_transforms(points: Sequence[Fraction], r: int) -> ExactTransforms:
    """The matrices of F(m, r) with m + r - 2 finite points."""
    n = len(points) + 1
    m = n + 1 - r
    others = [[b for b in points if b != a] for a in points]
    numerators = [*map(_with_roots, others), _with_roots(points)]
    denominators = [prod((a - b for b in rest), start=Fraction(1)) for a, rest in zip(points, others, strict=True)]
    scales = [_whole(row) for row in numerators]
    filters = [
        tuple(a**k / (denominator * scale) for k in range(r))
        for a, denominator, scale in zip(points, denominators, scales, strict=False)
    ]
    infinity = (*(Fraction(0) for _ in range(r - 1)), 1 / scales[-1])
    return ExactTransforms(
        inputs=tuple(
            tuple(scale * number for number in row) + (Fraction(0),) * (n - len(row))
            for row, scale in zip(numerators, scales, strict=True)
        ),
        filters=(*filters, infinity),
        outputs=tuple((*(a**i for a in points), Fraction(i == m - 1)) for i in range(m)),
    )


@lru_cache
def transforms(m: int, r: int, dtype: np.dtype[Any]) -> Transforms:
    """The same as arrays of a number type."""
    points = POINTS[m + r - 2]
    exact = exact_transforms(points, r)
    inputs, filters, outputs = (
        np.array([[float(number) for number in row] for row in matrix])
        for matrix in (exact.inputs, exact.filters, exact.outputs)
    )
    return Transforms(
        outputs_per_tile=m,
        taps=r,
        size=m + r - 1,
        inputs=inputs.astype(dtype),
        filters=np.kron(filters, filters).astype(dtype),
        outputs=outputs.astype(dtype),
        one=points.index(Fraction(1)),
    )


def _with_roots(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of the product over all roots of (x - root), the lowest power first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [high - root * low for high, low in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return tuple(coefficients)


def _whole(row: tuple[Fraction, ...]) -> Fraction:
    """What makes all numbers of a row whole."""
    return Fraction(lcm(*(number.denominator for number in row)))
