"""A tensor-core kernel with a pipeline of copies: right in every build and order, and seen when any part is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpunn.backend.cuda.compiling.compile import compile_kernels
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.errors import DeviceError
from tests.backend.arrays import integers, unwritten, upload
from tests.backend.emulator.devices import EVERY_WAY, emulator, recording_emulator

SOURCE = KernelSource(Path(__file__).parent / "pipelined_product.cu")
M, N = 64, 32
ANY_TIMING = [EmulatorSettings(check=True, copies="early"), EmulatorSettings(check=True, copies="late")]


def multiply(device: CudaDevice, depth: int, source: KernelSource = SOURCE) -> np.ndarray[Any, Any]:
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    a, b = integers(1, (M, depth), bfloat16), integers(2, (N, depth), bfloat16)
    d = unwritten(device, (M, N), np.float32)
    arguments = {"d": d, "a": upload(device, a), "b": upload(device, b), "K": depth, "N": N}
    device.launcher.launch_from(source, "multiply", Grid((M // 32, N // 16, 1), (64, 1, 1)), arguments)
    exact = a.astype(np.int64) @ b.astype(np.int64).T
    np.testing.assert_array_equal(device.download(d), exact)
    return exact


@pytest.mark.parametrize("depth", [8, 32, 72, 160])
@pytest.mark.parametrize("settings", EVERY_WAY.values(), ids=EVERY_WAY.keys())
def test_product_is_exact_in_every_order(settings: EmulatorSettings, depth: int) -> None:
    with emulator(settings) as device:
        assert multiply(device, depth).any()


@pytest.mark.parametrize("settings", ANY_TIMING, ids=["early", "late"])
@pytest.mark.parametrize(
    ("right", "wrong", "finding"),
    [
        ("copy_async_wait<STAGES - 2>();", "", "read of a copy that was not waited for"),
        ("copy_async_wait<STAGES - 2>();", "copy_async_wait<STAGES - 1>();", "read of a copy that was not waited for"),
        ("    __syncthreads();", "", "race in shared memory"),
        ("    __syncthreads();", "__syncwarp();", "race in shared memory"),
        ("copy_async_commit();", "", "read of a copy that was not waited for"),
        ("copy_async_wait<0>();", "", "a copy that nobody waits for"),
        ("start(step + STAGES - 1);", "start(step + STAGES);", "shared memory|of a copy"),
        ("constexpr int STAGES = 3;", "constexpr int STAGES = 1;", "shared memory|of a copy"),
        ("k < K);", "true);", "asynchronous copy reads out of bounds"),
        ("rows + row * K + k,", "rows + row * K + k + 1,", "misaligned read of '[ab]'"),
        ("place(row_a, k * 2 + lane / 16)]", "place(row_a, k * 2 + lane / 16) + 4]", "not aligned to 16 bytes"),
    ],
)
def test_missing_order_is_seen(
    settings: EmulatorSettings, right: str, wrong: str, finding: str, tmp_path: Path
) -> None:
    assert right in SOURCE.text
    path = tmp_path / SOURCE.path.name
    path.write_text(SOURCE.text.replace(right, wrong))
    with emulator(settings) as device, pytest.raises(DeviceError, match=rf"pipelined_product\.cu:\d+: .*({finding})"):
        multiply(device, 104, KernelSource(path))


def traffic_ratios(source: KernelSource) -> dict[str, float]:
    """Wavefronts and sectors over their ideals, the largest of any line."""
    with recording_emulator() as (device, executor):
        multiply(device, 160, source)
        lines = executor.profile.lines.values()
    return {
        "wavefronts": max(line.wavefronts / line.ideal_wavefronts for line in lines if line.wavefronts),
        "sectors": max(line.sectors / line.ideal_sectors for line in lines if line.sectors),
    }


def test_swizzled_rows_have_no_bank_conflicts(tmp_path: Path) -> None:
    assert traffic_ratios(SOURCE) == {"wavefronts": 1.0, "sectors": 2.0}  # each thread stores two floats a row
    plain = tmp_path / SOURCE.path.name
    plain.write_text(SOURCE.text.replace("(piece ^ row / 2 % PIECES)", "piece"))
    assert traffic_ratios(KernelSource(plain))["wavefronts"] == 4.0


def test_it_compiles_for_the_gpu() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    needs = compile_kernels(SOURCE, "80").resources["multiply"]
    assert (needs.spill_loads, needs.static_shared) == (0, 9216)
