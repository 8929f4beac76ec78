"""What a device reaches at best: a large product, and a large copy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpunn.backend.attributes import LINEAR, Arithmetic
from gpunn.backend.contract import Array, Device, DType
from gpunn.geometry import LinearGeometry, Shape
from gpunn.precision import Precision
from gpunn.timing.contestant import SEED
from gpunn.timing.report import Ceilings

#: Rows and columns of the product, and numbers of the copy: from the first, doubled until it takes long enough.
SIDES = (128, 8192)
LENGTHS = (2**18, 2**27)
LONG_ENOUGH = 0.03
#: What computes a product where the maker has no library for it.
OWN_PRODUCT = "gpunn's kernel"

_FLOAT32 = np.dtype(np.float32)
#: Numbers drawn for a factor, which then repeat: drawing all of a large one takes longer than multiplying it.
_DRAWN = 2**16


def large_enough(
    sizes: tuple[int, int],
    work: Callable[[int], Callable[[], object]],
    seconds_of: Callable[[Callable[[], object]], float],
) -> tuple[int, Callable[[], object]]:
    """A size whose work takes long enough for its time to say something, and that work.

    Args:
        sizes: the first, which is doubled, and the largest.
        work: of a size; its first run compiles, tunes and touches memory, and does not count.
        seconds_of: runs it.
    """
    size, largest = sizes
    while True:
        run = work(size)
        seconds_of(run)
        if size >= largest or seconds_of(run) >= LONG_ENOUGH:
            return size, run
        size *= 2


class CeilingProbe:
    """A product and a copy of one device, as large as they have to be for a time that says something.

    Args:
        device: what is measured.
        number_types: of the product; the copy is of float32.
    """

    def __init__(self, device: Device, number_types: Precision) -> None:
        self._device = device
        self._number_types = number_types
        self._product = OWN_PRODUCT
        self._side, self._multiply = large_enough(SIDES, self._product_of, self._seconds)
        self._length, self._copy = large_enough(LENGTHS, self._copy_of, self._seconds)

    def measure(self) -> Ceilings:
        """Both, once."""
        product, copy = self._device.timed([self._multiply, self._copy])
        return Ceilings(2 * self._side**3 / product, 2 * self._length * _FLOAT32.itemsize / copy, self._product)

    def _seconds(self, run: Callable[[], object]) -> float:
        return self._device.timed([run])[0]

    def _product_of(self, side: int) -> Callable[[], object]:
        device, stored = self._device, self._number_types.stored
        drawn = np.random.default_rng(SEED).standard_normal(_DRAWN)
        x, w = (self._array((side, side), stored) for _ in range(2))
        y = self._array((side, side), stored)
        for factor in (x, w):
            device.upload(factor, np.resize(drawn, (side, side)).astype(stored))
        if self._number_types.multiplied != "tf32":
            library = device.library_product(y, x, w)
            if library is not None:
                self._product = library
                return lambda: device.library_product(y, x, w)
        arithmetic, geometry = Arithmetic(self._number_types.multiplied), LinearGeometry(side, side, side)
        size = device.primitives.linear_forward_workspace(device, geometry, stored, arithmetic)
        scratch = self._array((size,), np.dtype(np.uint8))
        return lambda: device.primitives.linear_forward(device, y, x, w, None, geometry, LINEAR, arithmetic, scratch)

    def _copy_of(self, length: int) -> Callable[[], object]:
        x, y = (self._array((length,), _FLOAT32) for _ in range(2))
        # Memory that nobody has written is one page of zeros, which is read from a cache.
        self._device.primitives.fill(self._device, x, 1.0)
        return lambda: self._device.primitives.copy(self._device, y, x, False)

    def _array(self, shape: Shape, dtype: DType) -> Array:
        memory = self._device.allocate(self._device.size_of(shape, dtype, "plain"))
        return self._device.view(memory, 0, shape, dtype, "plain")
