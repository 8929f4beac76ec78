"""What a device reaches through PyTorch: a large product, and a large copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gpunn.timing.ceilings import LENGTHS, SIDES, large_enough
from gpunn.timing.report import Ceilings

_FLOAT_BYTES = 4


class PytorchCeilings:
    """A product and a copy, as large as they have to be for a time that says something.

    Args:
        torch: the library.
        device: where.
        dtype: of the product's factors; the copy is of float32.
    """

    def __init__(self, torch: Any, device: Any, dtype: Any) -> None:
        self._torch = torch
        self._device = device
        self._dtype = dtype
        self._side, self._multiply = large_enough(SIDES, self._product, self._seconds)
        self._length, self._copy = large_enough(LENGTHS, self._copied, self._seconds)

    def measure(self) -> Ceilings:
        """Both, once."""
        product, copy = self._seconds(self._multiply), self._seconds(self._copy)
        return Ceilings(2 * self._side**3 / product, 2 * _FLOAT_BYTES * self._length / copy, "torch.mm")

    def _product(self, side: int) -> Callable[[], object]:
        left, right = (self._torch.randn(side, side, device=self._device).to(self._dtype) for _ in range(2))
        out = self._torch.empty_like(left)
        return lambda: self._torch.mm(left, right, out=out)

    def _copied(self, length: int) -> Callable[[], object]:
        source, target = (self._torch.ones(length, device=self._device) for _ in range(2))
        return lambda: target.copy_(source)

    def _seconds(self, run: Callable[[], object]) -> float:
        self._wait()
        begun = time.perf_counter()
        run()
        self._wait()
        return time.perf_counter() - begun

    def _wait(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.synchronize(self._device)
