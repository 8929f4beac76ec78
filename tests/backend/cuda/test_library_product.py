"""cuBLAS through CuPy, with NumPy in its place."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.gpu.library_product import CublasProduct


def gpu_with(matmul: Any) -> Gpu:
    """A GPU whose arrays are NumPy's."""
    gpu: Any = SimpleNamespace(
        cupy=SimpleNamespace(matmul=matmul), stream=nullcontext(), at_work=lambda what: nullcontext()
    )
    return gpu


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_it_multiplies(dtype: type) -> None:
    x, w = np.arange(6, dtype=dtype).reshape(2, 3), np.arange(12, dtype=dtype).reshape(3, 4)
    y = np.zeros((2, 4), dtype)
    assert CublasProduct(gpu_with(np.matmul))(y, x, w) == f"cuBLAS ({np.dtype(dtype).name})"
    np.testing.assert_array_equal(y, [[20, 23, 26, 29], [56, 68, 80, 92]])


def test_bfloat16_has_the_rate_of_float16() -> None:
    met: list[np.dtype[Any]] = []

    def matmul(x: Any, w: Any, out: Any) -> None:
        met.extend(array.dtype for array in (x, w, out))

    x = np.ones((2, 2), ml_dtypes.bfloat16)
    assert CublasProduct(gpu_with(matmul))(x, x, x) == "cuBLAS (float16)"
    assert met == [np.dtype(np.float16)] * 3


def test_other_types_are_left_alone() -> None:
    x = np.ones((2, 2))
    assert CublasProduct(gpu_with(lambda *_, **__: pytest.fail("multiplied")))(x, x, x) is None


def test_cupy_without_cublas() -> None:
    def matmul(*_: Any, **__: Any) -> None:
        raise ImportError("libcublas.so.13: cannot open shared object file")

    x = np.ones((2, 2), np.float32)
    assert CublasProduct(gpu_with(matmul))(x, x, x) is None
