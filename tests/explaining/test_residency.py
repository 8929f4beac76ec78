"""How blocks fill a GPU, against worked examples."""

from __future__ import annotations

from math import prod

import pytest

from gpunn.backend.cuda.compiling.compile import KernelResources
from gpunn.backend.cuda.launching.launch import CheckedLaunch, Grid
from gpunn.backend.cuda.launching.source import packaged_source
from gpunn.explaining.explanation import Residency
from gpunn.explaining.hardware import HARDWARE
from gpunn.explaining.residency import describe_launch, residency


def launch(blocks: tuple[int, int, int], threads: tuple[int, int, int], dynamic_shared: int = 0) -> CheckedLaunch:
    source = packaged_source("convolution2d_forward.cu").choose({"STORED": "bfloat16", "TILE": "64"})
    signature = source.signatures["convolution2d_forward"]
    return CheckedLaunch(source, signature, Grid(blocks, threads, dynamic_shared), ())


def needs(registers: int, static_shared: int = 0, spilled: int = 0) -> KernelResources:
    return KernelResources(registers, spilled, spilled, 0, static_shared)


def fill(
    blocks: tuple[int, int, int], threads: int, resources: KernelResources, device: str, dynamic: int = 0
) -> Residency:
    return residency(launch(blocks, (threads, 1, 1), dynamic), resources, HARDWARE[device])


@pytest.mark.parametrize(("threads", "blocks", "occupancy"), [(128, 12, 0.75), (320, 4, 0.63)])
def test_the_example_of_the_best_practices_guide(threads: int, blocks: int, occupancy: float) -> None:
    """37 registers a thread, 65,536 registers and 2048 threads a multiprocessor: 75% with blocks of 128 threads, of
    which 12 are active; 63% with blocks of 320, of which four fit. (CUDA C++ Best Practices Guide, "Occupancy".)"""
    found = fill((1, 1, 1), threads, needs(37), "a100")
    assert found.blocks == blocks
    assert found.occupancy == pytest.approx(occupancy, abs=0.006)


def test_a_product_on_tensor_cores_by_hand() -> None:
    """241 registers are 7,936 a warp in units of 256: two warps for each of four schedulers with 16,384, so two blocks
    of four warps, of 64. 1,000 blocks in waves of 2 * 132 are 3.79, which take the time of four."""
    found = fill((250, 2, 2), 128, needs(241), "h100")
    assert (found.registers, found.blocks, found.occupancy) == (241, 2, 0.125)
    assert found.waves == pytest.approx(1000 / 264)
    assert found.tail_efficiency == pytest.approx(1000 / 264 / 4)


def test_shared_memory_of_both_kinds_counts() -> None:
    """48 KiB and the KiB that the system takes go four times into the H100's 228 KiB, twice into the RTX 4090's 100."""
    resources = needs(32, static_shared=16 * 1024, spilled=4)
    assert fill((1, 1, 1), 128, resources, "h100", dynamic=32 * 1024).blocks == 4
    found = fill((512, 1, 1), 128, resources, "rtx4090", dynamic=32 * 1024)
    assert (found.blocks, found.shared_bytes, found.spill_bytes) == (2, 48 * 1024, 8)
    assert found.occupancy == pytest.approx(8 / 48)
    assert found.waves == found.tail_efficiency * 2 == 2.0


def test_a_warp_that_is_not_full_is_taken_whole() -> None:
    """40 threads are two warps: 32 blocks, the most there are, fill all 64."""
    found = fill((1, 1, 1), 40, needs(32), "h100")
    assert (found.blocks, found.occupancy) == (32, 1.0)


def test_a_block_that_does_not_fit() -> None:
    found = fill((9, 1, 1), 1024, needs(128), "h100")
    assert (found.blocks, found.occupancy, found.waves, found.tail_efficiency) == (0, 0.0, 0.0, 0.0)


def test_what_is_shown_of_a_launch() -> None:
    told = launch((10, 2, 1), (16, 16, 1), 512)
    shown = describe_launch(told, None, HARDWARE["a100"])
    assert (shown.kernel, shown.file, shown.choices) == (
        "convolution2d_forward",
        "convolution2d_forward.cu",
        ("bfloat16", "64"),
    )
    assert (shown.tile, shown.grid, prod(shown.block), shown.dynamic_shared_bytes) == ("64x64", (10, 2, 1), 256, 512)
    assert shown.residency is None
    known = describe_launch(told, needs(64), HARDWARE["a100"])
    assert known.residency is not None
    # 64 registers of 256 threads are a quarter of 65,536.
    assert known.residency.blocks == 4


@pytest.mark.parametrize(
    ("name", "multiprocessors", "warps", "shared_kib"),
    [("h100", 132, 64, 228), ("a100", 108, 64, 164), ("rtx4090", 128, 48, 100)],
)
def test_hardware(name: str, multiprocessors: int, warps: int, shared_kib: int) -> None:
    """(CUDA C++ Programming Guide, technical specifications per compute capability.)"""
    hardware = HARDWARE[name]
    assert hardware.multiprocessors == multiprocessors
    assert (hardware.limits.warps, hardware.limits.shared_bytes) == (warps, shared_kib * 1024)
    assert set(hardware.products) == {"float32", "tf32", "bfloat16", "float16"}
    assert all(ceiling.source for ceiling in (*hardware.products.values(), hardware.copy))
