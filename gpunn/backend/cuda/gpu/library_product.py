"""The matrix product of cuBLAS through CuPy: what a GPU's maker reaches, to hold against."""

from __future__ import annotations

from gpunn.backend.contract import Array
from gpunn.backend.cuda.gpu.gpu import Gpu

#: The types that CuPy multiplies with cuBLAS, and what is multiplied for a type that tensor cores take as fast.
_MULTIPLIED_AS = {"float32": "float32", "float16": "float16", "bfloat16": "float16"}


class CublasProduct:
    """y = x w.

    Args:
        gpu: where; the arrays are its own.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def __call__(self, y: Array, x: Array, w: Array) -> str | None:
        """Multiply; the bits of bfloat16 are taken for float16, of the same rate.

        Returns:
            What computed it; None where CuPy finds no cuBLAS, or does not know the type.
        """
        name = _MULTIPLIED_AS.get(x.dtype.name)
        if name is None:
            return None
        cupy = self._gpu.cupy
        try:
            with self._gpu.at_work("multiplying with cuBLAS"), self._gpu.stream:
                cupy.matmul(x.view(name), w.view(name), out=y.view(name))
        except ImportError:
            return None
        return f"cuBLAS ({name})"
