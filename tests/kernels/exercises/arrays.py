"""The arrays of one exercise: inputs from seeds, results to be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.contract import Array, Memory
from gpunn.backend.cuda.device import CudaDevice
from tests.backend.arrays import FLOAT32, Host, unwritten, upload, upload_slice, workspace


class Arrays:
    """Makes arrays of one device, and keeps those that an exercise computes.

    Attributes:
        device: where they live.
        run: its primitives.
    """

    def __init__(self, device: CudaDevice) -> None:
        self.device = device
        self.run = device.primitives
        self._seed = 0
        self._results: list[Array] = []

    def results(self) -> list[Host]:
        """What the exercise has computed, in the order in which it asked for the arrays."""
        return [self.device.download(array) for array in self._results]

    def upload(self, values: Host) -> Array:
        """An input with these values."""
        return upload(self.device, values, "plain")

    def one(self, value: float, dtype: Any = np.float64) -> Array:
        """An array of one element, such as a control of the update."""
        return self.upload(np.array([value], dtype))

    def reals(self, shape: tuple[int, ...], dtype: Any = FLOAT32, sides: int = 0) -> Array:
        """An input of normally distributed numbers; with `sides` a slice of a wider array, so many channels inside."""
        values = self._reals(shape).astype(dtype)
        return upload_slice(self.device, values, sides, sides) if sides else upload(self.device, values)

    def result(self, shape: tuple[int, ...], dtype: Any = FLOAT32, sides: int = 0) -> Array:
        """An output that nobody has written yet."""
        if sides:
            wide = unwritten(self.device, (*shape[:-1], shape[-1] + 2 * sides), dtype)
            return self._kept(wide[..., sides : sides + shape[-1]])
        return self._kept(unwritten(self.device, shape, dtype))

    def held(self, shape: tuple[int, ...], dtype: Any = FLOAT32, sides: int = 0) -> Array:
        """A result that holds numbers already, to be added to or changed."""
        return self._kept(self.reals(shape, dtype, sides))

    def target(self, accumulate: bool, shape: tuple[int, ...], dtype: Any = FLOAT32, sides: int = 0) -> Array:
        """Where a gradient goes: an array that holds numbers with `accumulate`, else an unwritten one."""
        return (self.held if accumulate else self.result)(shape, dtype, sides)

    def changed(self, values: Host) -> Array:
        """A result that starts with these values."""
        return self._kept(self.upload(values))

    def workspace(self, size: int) -> Memory:
        """Scratch."""
        return workspace(self.device, size)

    def _reals(self, shape: tuple[int, ...]) -> Host:
        self._seed += 1
        return np.random.default_rng(self._seed).standard_normal(shape)

    def _kept(self, array: Array) -> Array:
        self._results.append(array)
        return array
