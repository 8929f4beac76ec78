"""What forward and backward-data are to Winograd's tiles: the same, with the filters turned round for the latter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gpunn.arena import ALIGNMENT, align
from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms.gather import Axis, Reading
from gpunn.backend.cpu.convolution_algorithms.plan import PLANS, read_input
from gpunn.backend.cpu.convolution_algorithms.winograd.passes import gather_size, scatter_size
from gpunn.backend.cpu.convolution_algorithms.winograd.plan import TilePlan, plan_tiles
from gpunn.backend.cpu.convolution_algorithms.winograd.transforms import Transforms, transforms
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry

Array = np.ndarray[Any, Any]

#: Matrices that a thread multiplies at a time when all threads share a band; BLAS makes four of the filters' at once in
#: half the time of three.
PLANES = 4


@dataclass(frozen=True, eq=False)
class Task:
    """A convolution in tiles.

    Attributes:
        plan: its tiles.
        maps: its matrices.
        turned: whether each filter is turned round, and filters and channels change places.
        read: channels of what is read.
        written: channels of the result.
    """

    plan: TilePlan
    maps: Transforms
    turned: bool
    read: int
    written: int

    @property
    def planes(self) -> int:
        """How many matrices there are."""
        return self.maps.size**2

    @property
    def filter_map(self) -> Array:
        """From a filter's taps to its matrices, (planes, taps * taps)."""
        return self.maps.filters[:, ::-1] if self.turned else self.maps.filters

    @property
    def of_thread(self) -> tuple[int, int, int]:
        """Numbers of scratch of one thread: to transform, to multiply, to add."""
        pieces = self.plan.pieces
        gathering = max(gather_size(self.maps.inputs, self.plan.inputs, piece, self.read) for piece in pieces)
        scattering = max(scatter_size(self.maps.outputs, piece, self.written) for piece in pieces)
        tiles = max(piece.tiles for piece in pieces)
        added = self.maps.outputs_per_tile**2 * tiles * self.written
        if self.plan.together:
            return max(gathering, scattering), PLANES * self.read * self.written, added
        inputs, products = self.planes * tiles * self.read, self.planes * tiles * self.written
        return max(inputs, scattering), max(products, gathering), added

    @property
    def of_all(self) -> tuple[int, int]:
        """Numbers of scratch that all threads use: the matrices of a band before and after the products, or the
        transformed filters and nothing."""
        if self.plan.together:
            return self.planes * self.plan.most_tiles * self.read, self.planes * self.plan.most_tiles * self.written
        return self.planes * self.read * self.written, 0

    def workspace_bytes(self, threads: int, itemsize: int) -> int:
        """Bytes of scratch."""
        sizes = (*self.of_all, *(self.of_thread * threads))
        return itemsize * sum(align(size, ALIGNMENT) for size in sizes)


@lru_cache(PLANS)
def forward_task(geometry: Conv2dGeometry, m: int, dtype: DType, threads: int) -> Task:
    """What forward comes to."""
    plan = plan_tiles(read_input(geometry), geometry.K, m, dtype.itemsize, threads)
    return Task(plan, transforms(m, geometry.R, dtype), False, geometry.C, geometry.K)


@lru_cache(PLANS)
def backward_data_task(geometry: Conv2dGeometry, m: int, dtype: DType, threads: int) -> Task:
    """What backward-data comes to: gx[h] sums gy[h + top - r], so tap R - 1 - r reads gy[h + top - (R - 1) + ...]."""
    padding, taps = geometry.padding, geometry.R
    rows = Axis(geometry.P, geometry.H, taps, 1, 1, padding.top - (taps - 1))
    columns = Axis(geometry.Q, geometry.W, taps, 1, 1, padding.left - (taps - 1))
    plan = plan_tiles(Reading(rows, columns, geometry.N, geometry.K, 1), geometry.C, m, dtype.itemsize, threads)
    return Task(plan, transforms(m, taps, dtype), True, geometry.K, geometry.C)


def planes_of(thread: int, threads: int, planes: int) -> Iterator[slice]:
    """The matrices that a thread multiplies when all threads share a band, some at a time."""
    first, stop = split(planes, threads)[thread]
    for start in range(first, stop, PLANES):
        yield slice(start, min(start + PLANES, stop))
