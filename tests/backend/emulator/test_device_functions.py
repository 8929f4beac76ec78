"""CUDA's functions in the emulator against NumPy, and against the real compiler, which must know them too."""

from __future__ import annotations

from collections.abc import Iterator
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.cuda.compiling.compile import compile_kernels
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.errors import DeviceError
from tests.backend.emulator.devices import CHECK, FAST, emulator

SOURCE = KernelSource(Path(__file__).parent / "device_functions.cu")
THREADS = 64
MASK = 2**32 - 1

Host = np.ndarray[Any, Any]


@pytest.fixture(scope="module", params=[FAST, CHECK], ids=["fast", "check"])
def device(request: pytest.FixtureRequest) -> Iterator[CudaDevice]:
    with emulator(request.param) as opened:
        yield opened


def run(device: CudaDevice, kernel: str, **arguments: Any) -> None:
    device.launcher.launch_from(SOURCE, kernel, Grid((1, 1, 1), (THREADS, 1, 1)), {**arguments, "n": THREADS})


def words(seed: int) -> Host:
    values = np.random.default_rng(seed).integers(0, 2**32, THREADS, dtype=np.uint32)
    values[:4] = [0, 1, 2**31, MASK]
    return values


def signed(word: int) -> int:
    return word - 2**32 if word >= 2**31 else word


def leading_zeros(value: int, width: int) -> int:
    return width - value.bit_length()


def first_set(value: int) -> int:
    return (value & -value).bit_length()


def test_bits(device: CudaDevice) -> None:
    a, b = words(1), words(2)
    results = np.zeros((THREADS, 16), np.uint32)
    run(device, "bits", a=a, b=b, results=results)
    for x, y, result in zip(map(int, a), map(int, b), results.astype(object), strict=True):
        wide = y << 32 | x
        high = wide * wide >> 64
        bytes_of_both = wide.to_bytes(8, "little")
        assert list(result) == [
            x.bit_count(),
            leading_zeros(x, 32),
            first_set(x),
            int(f"{x:032b}"[::-1], 2),
            x * y >> 32,
            (signed(x) * signed(y) >> 32) & MASK,
            high >> 32,
            high & MASK,
            wide.bit_count(),
            leading_zeros(wide, 64),
            first_set(wide),
            (wide << 5 >> 32) & MASK,
            (wide >> 5) & MASK,
            int.from_bytes(bytes([bytes_of_both[i] for i in (0, 1, 4, 7)]), "little"),
            max(x, y),
            min(x, y),
        ]


def reals(seed: int) -> Host:
    values = np.random.default_rng(seed).normal(0, 2, THREADS).astype(np.float32)
    values[:6] = [0.0, np.nan, np.inf, -np.inf, 2.5, -3.5]
    return values


def test_floats(device: CudaDevice) -> None:
    a, b = reals(3), np.random.default_rng(4).normal(0, 2, THREADS).astype(np.float32)
    results = np.zeros((THREADS, 24), np.float32)
    run(device, "floats", a=a, b=b, results=results)
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        expected = [np.fmax(x, y), np.fmin(x, y), np.fmax(x, y), np.fmin(x, y), x * y + 1, abs(x), np.sqrt(abs(x))]
        expected += [1 / np.sqrt(abs(x)), np.exp(x), np.log(abs(x)), np.log1p(abs(x)), np.expm1(x), np.tanh(x)]
        expected += [abs(x) ** y, np.floor(x), np.ceil(x), np.rint(x), np.isnan(x), np.isfinite(x), np.isinf(x)]
        expected += [np.copysign(1, x), [erf(value) for value in x]]
        whole = np.where(np.isnan(x), 0, np.clip(np.rint(x), -(2.0**31), 2.0**31 - 1))
        expected += [whole, np.where(np.isnan(x), 0, x)]
        right = np.array(expected, np.float64).T.astype(np.float32)
    signs = [5, 6, 7, 20]
    np.testing.assert_allclose(results, right, rtol=4e-7)
    np.testing.assert_array_equal(np.signbit(results[:, signs]), np.signbit(right[:, signs]))


def test_doubles(device: CudaDevice) -> None:
    x = np.random.default_rng(5).normal(0, 2, THREADS)
    results = np.zeros((THREADS, 8))
    run(device, "doubles", a=x, results=results)
    expected = [np.sqrt(abs(x)), np.exp(x), abs(x) ** 0.5, x * x + 1, np.maximum(x, 0), x, np.float32(x), abs(x) + 5.5]
    np.testing.assert_allclose(results, np.array(expected).T, rtol=1e-15)


def test_rounded_arithmetic(device: CudaDevice) -> None:
    a, b = (np.random.default_rng(seed).normal(0, 2, THREADS).astype(np.float32) for seed in (6, 7))
    results = np.zeros((THREADS, 6), np.float32)
    run(device, "rounded", a=a, b=b, results=results)
    fused = (a.astype(np.float64) * b + 1).astype(np.float32)
    expected = np.array([a + b, a - b, a * b, a / b, np.sqrt(abs(a)), fused]).T
    np.testing.assert_array_equal(results, expected)


def test_integers(device: CudaDevice) -> None:
    a, b = (np.random.default_rng(seed).integers(-1000, 1000, THREADS, dtype=np.int32) for seed in (8, 9))
    results = np.zeros((THREADS, 6), np.int64)
    run(device, "integers", a=a, b=b, results=results)
    for x, y, result in zip(map(int, a), map(int, b), results, strict=True):
        doubled = (x << 1) & (2**64 - 1)
        assert list(result) == [max(x, y), min(x, y), abs(x), max(x * y, 7), min(doubled, 100), max(min(x, 5), -5)]


def test_shuffles_of_every_type(device: CudaDevice) -> None:
    x = np.random.default_rng(10).integers(0, 9, THREADS).astype(np.float32)
    results = np.zeros((THREADS, 7), np.float32)
    run(device, "shuffled", a=x, results=results)
    for thread, result in enumerate(results):
        warp, lane = thread // 32 * 32, thread % 32
        down, up = lane + 3 if lane < 29 else lane, lane - 4 if lane >= 4 else lane
        sources = [lane ^ 1, lane ^ 2, down, up, 5, 6]
        assert list(result[:6]) == [x[warp + source] for source in sources]
        assert result[6] == (x[warp : warp + 32] > 3).sum()


def test_atomics_of_every_type(device: CudaDevice) -> None:
    values = np.random.default_rng(11).integers(1, 1000, THREADS, dtype=np.int32)
    sums = np.array([0, 10**6, -5, -1, 0, 1, 0], np.int32)
    unsigned_sums, wide_sums = np.array([0, MASK, 0], np.uint32), np.array([0, 2**64 - 1, 0], np.uint64)
    floats, doubles = np.zeros(1, np.float32), np.zeros(1)
    arguments = {"unsigned_sums": unsigned_sums, "wide_sums": wide_sums, "float_sums": floats, "double_sums": doubles}
    run(device, "atomics", values=values, sums=sums, **arguments)
    every, some = int(np.bitwise_and.reduce(values)), int(np.bitwise_or.reduce(values))
    assert list(sums) == [values.sum(), values.min(), values.max(), every, some, 7, 9]
    assert list(unsigned_sums) == [THREADS, values.min(), values.max()]
    assert list(wide_sums) == [THREADS * 2**33, values.min(), values.max()]
    assert (floats[0], doubles[0]) == (THREADS / 2, THREADS / 4)


def test_vectors(device: CudaDevice) -> None:
    memory = device.memory
    a = memory.view(memory.allocate(THREADS * 16), 0, (THREADS, 4), np.dtype(np.uint32))
    a[...] = np.random.default_rng(12).integers(0, 2**20, a.shape, dtype=np.uint32)
    results = np.zeros((THREADS, 2), np.uint32)
    run(device, "vectors", a=a, results=results)
    np.testing.assert_array_equal(results[:, 0], (a[:, 0] & 0xFFFF) + (a[:, 3] & 0xFF))
    np.testing.assert_array_equal(results[:, 1], a[:, 1] + a[:, 0])


def test_the_real_compiler_knows_all_of_them() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    assert set(compile_kernels(SOURCE, "75").resources) == set(SOURCE.signatures)


@pytest.mark.parametrize("expression", ["INFINITY", "NAN", "M_PI", "FLT_MAX"])
def test_what_the_real_compiler_does_not_know_is_refused(expression: str, tmp_path: Path) -> None:
    path = tmp_path / "constant.cu"
    path.write_text(f'extern "C" __global__ void constant(float* y) {{ y[0] = {expression}; }}\n')
    with emulator(FAST) as device, pytest.raises(DeviceError, match="cannot build constant"):
        device.launcher.launch_from(
            KernelSource(path), "constant", Grid((1, 1, 1), (1, 1, 1)), {"y": np.zeros(1, "f4")}
        )
    pytest.importorskip("cuda.bindings.nvrtc")
    with pytest.raises(DeviceError, match="does not compile"):
        compile_kernels(KernelSource(path), "75")
