"""Is each primitive of kernels/primitives*.cuh right to the bit on this device?

The emulator runs what is written beside the PTX, so that only a GPU can show a wrong operand in the PTX itself. Inputs
are small integers, whose sums no order of addition rounds. The answers are NumPy's and plain loops'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from gpunn.backend.contract import Array, Device, DType
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid

FILE = "primitives_test.cu"
_ROWS, _COLUMNS = 16, 8
_DEPTHS: dict[str, int] = {"bfloat16": 16, "float16": 16, "float": 8}
_DTYPES: dict[str, DType] = {
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
    "float": np.dtype(np.float32),
}
_LANES = 32
_COPY_THREADS = 64
_WARP = Grid((1, 1, 1), (_LANES, 1, 1))
_BLOCK = Grid((1, 1, 1), (256, 1, 1))

Host = np.ndarray[Any, Any]


def primitive_failures(device: CudaDevice) -> list[str]:
    """Run every primitive on a device of compute capability 8.0 or later, or on the emulator.

    Returns:
        One text for each primitive that gives a wrong result: its name, the element type, and the first difference.
        Empty when all are right.
    """
    failures = []
    for check in (_multiply, _multiply_from_shared, _widen, _narrow):
        for element in _DTYPES:
            failures += _differences(check(device, element), element)
    for check_of_bits in (_load_matrices, _copy_asynchronously, _round_to_tf32):
        failures += _differences(check_of_bits(device), "bits")
    return failures


class _Call:
    """One launch: inputs go up, outputs come back."""

    def __init__(self, device: CudaDevice, element: str = "bfloat16") -> None:
        self._device = device
        self._element = element

    def __call__(
        self, kernel: str, grid: Grid, outputs: Mapping[str, tuple[tuple[int, ...], DType]], **inputs: Any
    ) -> dict[str, Host]:
        arrays = {name: _array(self._device, shape, dtype) for name, (shape, dtype) in outputs.items()}
        arguments: dict[str, Any] = dict(arrays)
        for name, value in inputs.items():
            arguments[name] = _uploaded(self._device, value) if isinstance(value, np.ndarray) else value
        self._device.launcher.launch(FILE, kernel, grid, arguments, choices={"ELEMENT": self._element})
        return {name: self._device.download(array) for name, array in arrays.items()}


def _array(device: Device, shape: tuple[int, ...], dtype: DType) -> Array:
    memory = device.allocate(device.size_of(shape, dtype, "plain"))
    return device.view(memory, 0, shape, dtype, "plain")


def _uploaded(device: Device, host: Host) -> Array:
    array = _array(device, host.shape, host.dtype)
    device.upload(array, host)
    return array


_Results = Iterator[tuple[str, Host, Host]]  # the primitive's name, what it gave, what is right


def _differences(results: _Results, element: str) -> list[str]:
    found = []
    for name, given, right in results:
        wrong = given.view(f"u{given.itemsize}") != right.view(f"u{right.itemsize}")
        if wrong.any():
            first = tuple(int(index) for index in np.argwhere(wrong)[0])
            found.append(
                f"{name} of {element}: {int(wrong.sum())} of {wrong.size} elements are wrong; "
                f"the first, at {first}, is {given[first]!s} instead of {right[first]!s}"
            )
    return found


def _integers(shape: tuple[int, ...], seed: int, dtype: DType) -> Host:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def _product(a: Host, b: Host) -> Host:
    return np.asarray(a.astype(np.int64) @ b.astype(np.int64)).astype(np.float32)


def _multiply(device: CudaDevice, element: str) -> _Results:
    depth, dtype, float32 = _DEPTHS[element], _DTYPES[element], np.dtype(np.float32)
    a, b = _integers((_ROWS, depth), 1, dtype), _integers((depth, _COLUMNS), 2, dtype)
    c = _integers((_ROWS, _COLUMNS), 3, float32)
    d = _Call(device, element)("multiply", _WARP, {"d": (c.shape, float32)}, a=a, b=b, c=c)["d"]
    yield "TensorCore::multiply", d, c + _product(a, b)


def _multiply_from_shared(device: CudaDevice, element: str) -> _Results:
    depth, dtype, float32 = _DEPTHS[element], _DTYPES[element], np.dtype(np.float32)
    a, b = _integers((_ROWS, depth), 4, dtype), _integers((depth, _COLUMNS), 5, dtype)
    outputs = dict.fromkeys(("d_by_transposed", "d_by_rows"), ((_ROWS, _COLUMNS), float32))
    transposed = np.ascontiguousarray(b.T)
    results = _Call(device, element)("multiply_from_shared", _WARP, outputs, a=a, b=b, b_transposed=transposed)
    yield "load_matrix and TensorCore::multiply", results["d_by_transposed"], _product(a, b)
    yield "load_matrix_transposed and TensorCore::multiply", results["d_by_rows"], _product(a, b)


def _load_matrices(device: CudaDevice) -> _Results:
    matrices = np.arange(4 * 8 * 8, dtype=np.uint16)
    row_of_lane = np.random.default_rng(6).permutation(_LANES).astype(np.int32)
    uint32 = np.dtype(np.uint32)
    outputs = {f"x{count}{suffix}": ((_LANES, count), uint32) for count in (4, 2) for suffix in ("", "_transposed")}
    results = _Call(device)("load_matrices", _WARP, outputs, matrices=matrices.view(np.uint32), row_of_lane=row_of_lane)
    loaded = matrices.reshape(_LANES, 8)[row_of_lane].reshape(4, 8, 8)
    for name, given in results.items():
        right = np.empty((_LANES, given.shape[1], 2), np.uint16)
        for lane, matrix in np.ndindex(_LANES, given.shape[1]):
            from_matrix = loaded[matrix].T if name.endswith("transposed") else loaded[matrix]
            right[lane, matrix] = from_matrix[lane // 4, lane % 4 * 2 : lane % 4 * 2 + 2]
        yield f"load_matrix_{name}", given, right.view(np.uint32)[..., 0]


def _copy_asynchronously(device: CudaDevice) -> _Results:
    generator = np.random.default_rng(7)
    x = generator.integers(0, 2**32, (_COPY_THREADS, 4), dtype=np.uint32)
    exists = generator.integers(0, 2, x.shape, dtype=np.int32)
    grid = Grid((1, 1, 1), (_COPY_THREADS, 1, 1))
    outputs = {f"by_{size}": (x.shape, x.dtype) for size in (4, 8, 16)}
    for name, given in _Call(device)("copy_asynchronously", grid, outputs, x=x, exists=exists).items():
        words = int(name.removeprefix("by_")) // 4
        piece_exists = np.repeat(exists[:, ::words], words, axis=1) != 0
        yield f"copy_async<{4 * words}>", given, np.where(piece_exists, x, np.uint32(0))


def _round_to_tf32(device: CudaDevice) -> _Results:
    x = _awkward_floats()
    given = _Call(device)("round_all_to_tf32", _BLOCK, {"tf32": (x.shape, np.dtype(np.uint32))}, x=x, n=x.size)["tf32"]
    # The 13 bits that are cut off are a fraction of the kept ones; half of the last place goes away from zero. To what
    # is smaller than any normal number nothing is added.
    half = np.where(np.abs(x) < np.finfo(np.float32).smallest_normal, 0.0, 0.5)
    kept = np.floor(x.view(np.uint32).astype(np.float64) / 2**13 + half) * 2**13
    right = np.where(np.isfinite(x), kept, x.view(np.uint32)).astype(np.uint32)
    nan = np.isnan(x)
    upper_bits = given & np.uint32(0xFFFFE000)
    yield "round_to_tf32", upper_bits[~nan], right[~nan]
    yield "round_to_tf32 (of NaN)", np.isnan(upper_bits[nan].view(np.float32)), np.ones(int(nan.sum()), bool)


def _awkward_floats() -> Host:
    """Numbers near and half way between neighbours in every narrow type, the largest, the smallest, and no numbers."""
    generator = np.random.default_rng(8)
    bits = generator.integers(0, 2**32, 2000, dtype=np.uint32)
    coarse = bits & np.uint32(0xFFFF0000)
    ties = [coarse | np.uint32(half) for half in (0x0FFF, 0x1000, 0x1001, 0x3000, 0x7FFF, 0x8000, 0x8001)]
    near_one = (np.uint32(0x3F800000) + (bits >> np.uint32(9))).view(np.float32)
    borders = [0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.99, 65520, 1e-8, 6e-8, 3.4028235e38]
    awkward = [bits.view(np.float32), near_one, np.array(borders, np.float32), *(tie.view(np.float32) for tie in ties)]
    return np.concatenate(awkward)


def _widen(device: CudaDevice, element: str) -> _Results:
    dtype = _DTYPES[element]
    x = np.arange(2**16, dtype=np.uint16).view(dtype) if dtype.itemsize == 2 else _awkward_floats()
    y = _Call(device, element)("widen", _BLOCK, {"y": (x.shape, np.dtype(np.float32))}, x=x, n=x.size)["y"]
    with np.errstate(invalid="ignore"):
        right = x.astype(np.float32)
    yield "to_float", *_with_one_nan(y, right)


def _narrow(device: CudaDevice, element: str) -> _Results:
    x = _awkward_floats()
    with np.errstate(over="ignore", invalid="ignore"):
        right = x.astype(_DTYPES[element])
    y = _Call(device, element)("narrow", _BLOCK, {"y": (x.shape, right.dtype)}, x=x, n=x.size)["y"]
    yield "from_float", *_with_one_nan(y, right)


def _with_one_nan(given: Host, right: Host) -> tuple[Host, Host]:
    """Which of the many NaNs does not matter."""
    given, right = given.copy(), right.copy()
    for values in (given, right):
        values[np.isnan(values)] = np.nan
    return given, right
