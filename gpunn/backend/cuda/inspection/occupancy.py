"""How full a multiprocessor can be of a kernel's warps, from what a block needs.

(CUDA C++ Programming Guide, technical specifications per compute capability; the granularities are those of the CUDA
Occupancy Calculator.)
"""

from __future__ import annotations

from dataclasses import dataclass

_WARP_THREADS = 32
_REGISTERS = 65536
#: Registers are given to a warp by so many.
_REGISTER_UNIT = 256
#: A multiprocessor has four schedulers, each with a quarter of the registers.
_SCHEDULERS = 4


@dataclass(frozen=True)
class Limits:
    """What a multiprocessor has; in bytes, what a block takes of shared memory besides its own, and its unit."""

    warps: int
    blocks: int
    shared_bytes: int
    shared_reserved: int = 1024
    shared_unit: int = 128


#: By architecture.
LIMITS = {
    "75": Limits(warps=32, blocks=16, shared_bytes=64 * 1024, shared_reserved=0, shared_unit=256),
    "80": Limits(warps=64, blocks=32, shared_bytes=164 * 1024),
    "86": Limits(warps=48, blocks=16, shared_bytes=100 * 1024),
    "89": Limits(warps=48, blocks=24, shared_bytes=100 * 1024),
    "90": Limits(warps=64, blocks=32, shared_bytes=228 * 1024),
    "90a": Limits(warps=64, blocks=32, shared_bytes=228 * 1024),
    "100": Limits(warps=64, blocks=32, shared_bytes=228 * 1024),
    "120": Limits(warps=48, blocks=24, shared_bytes=100 * 1024),
}


def resident_blocks(architecture: str, threads: int, registers: int, shared_bytes: int) -> int:
    """Blocks that a multiprocessor can hold at a time; 0 when not one fits.

    Args:
        architecture: such as "90a".
        threads: of a block.
        registers: of a thread.
        shared_bytes: of a block, static and dynamic.
    """
    limits = LIMITS[architecture]
    warps = _warps(threads)
    warp_registers = _round_up(max(registers, 1) * _WARP_THREADS, _REGISTER_UNIT)
    scheduler_warps = _REGISTERS // _SCHEDULERS // warp_registers
    block_shared = _round_up(shared_bytes + limits.shared_reserved, limits.shared_unit)
    return min(
        limits.blocks,
        limits.warps // warps,
        scheduler_warps * _SCHEDULERS // warps,
        limits.shared_bytes // block_shared if block_shared else limits.blocks,
    )


def occupancy(architecture: str, threads: int, registers: int, shared_bytes: int) -> float:
    """The share of a multiprocessor's warps that blocks of `threads` threads can fill; arguments as above."""
    blocks = resident_blocks(architecture, threads, registers, shared_bytes)
    return blocks * _warps(threads) / LIMITS[architecture].warps


def _warps(threads: int) -> int:
    return -(-threads // _WARP_THREADS)


def _round_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit
