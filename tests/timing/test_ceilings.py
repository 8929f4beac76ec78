"""A product and a copy that are large enough, on devices whose times a test knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import Arithmetic
from gpunn.precision import precision
from gpunn.timing import ceilings
from gpunn.timing.ceilings import CeilingProbe
from gpunn.timing.report import Ceilings


class Known:
    """Multiplies 1e9 multiply-adds a second, and copies 1e8 numbers a second."""

    def __init__(self, library: str | None) -> None:
        self.library = library
        self.products: list[tuple[str, int]] = []
        self.lengths: list[int] = []
        self.seconds = 0.0
        self.primitives: Any = SimpleNamespace(
            linear_forward=self.own,
            linear_forward_workspace=lambda *_: 0,
            fill=lambda device, y, value: y.fill(value),
            copy=self.copy,
        )

    def timed(self, steps: Sequence[Callable[[], object]]) -> list[float]:
        found = []
        for step in steps:
            self.seconds = 0.0
            step()
            found.append(self.seconds)
        return found

    def library_product(self, y: np.ndarray, x: np.ndarray, w: np.ndarray) -> str | None:
        if self.library is not None:
            assert np.abs(x).min() > 0
            self.multiply("library", x.shape[0])
        return self.library

    def own(self, device: Any, y: Any, x: Any, w: Any, bias: Any, geometry: Any, *settings: Any) -> None:
        assert settings[1] == Arithmetic("tf32" if self.library else "float32")
        self.multiply("own", geometry.N)

    def multiply(self, name: str, side: int) -> None:
        self.products.append((name, side))
        self.seconds = side**3 / 1e9

    def copy(self, device: Any, y: np.ndarray, x: np.ndarray, accumulate: bool) -> None:
        assert (x == 1).all()
        self.lengths.append(len(x))
        self.seconds = len(x) / 1e8

    def allocate(self, size: int) -> int:
        return size

    def size_of(self, shape: tuple[int, ...], dtype: np.dtype[Any], layout: str) -> int:
        return int(np.prod(shape)) * dtype.itemsize

    def view(self, memory: int, offset: int, shape: tuple[int, ...], dtype: Any, layout: str) -> np.ndarray:
        return np.zeros(shape, dtype)

    def upload(self, array: np.ndarray, host: np.ndarray) -> None:
        array[...] = host


def probe(device: Any, name: str = "float32") -> CeilingProbe:
    return CeilingProbe(device, precision(name))


def test_sizes_grow_until_a_time_says_something() -> None:
    device = Known("BLAS")
    # 256 ** 3 / 1e9 is 0.017 s, and 512 ** 3 / 1e9 is 0.13 s; 2 ** 22 / 1e8 is 0.042 s.
    found = probe(device).measure()
    assert device.products[-1] == ("library", 512)
    assert device.lengths[-1] == 2**22
    assert found == Ceilings(pytest.approx(2e9), pytest.approx(8e8), "BLAS")


def test_sizes_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "SIDES", (32, 64))
    monkeypatch.setattr(ceilings, "LENGTHS", (16, 32))
    device = Known("BLAS")
    found = probe(device).measure()
    assert (device.products[-1], device.lengths[-1]) == (("library", 64), 32)
    assert found.flops == pytest.approx(2e9)


@pytest.mark.parametrize(("library", "name"), [(None, "float32"), ("BLAS", "tf32")])
def test_without_a_library_the_kernel_multiplies(library: str | None, name: str) -> None:
    device = Known(library)
    found = probe(device, name).measure()
    assert device.products[-1] == ("own", 512)
    assert found.product == "gpunn's kernel"


def test_the_cpu_is_measured(cpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "SIDES", (32, 64))
    monkeypatch.setattr(ceilings, "LENGTHS", (2**10, 2**12))
    found = probe(cpu).measure()
    assert found.product == "NumPy's BLAS"
    assert min(found.flops, found.bytes_per_second) > 0
