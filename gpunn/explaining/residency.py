"""How the blocks of a launch fill a GPU, from what the compiler says of its kernel."""

from __future__ import annotations

import re
from math import ceil, prod

from gpunn.backend.cuda.compiling.compile import KernelResources
from gpunn.backend.cuda.inspection.occupancy import resident_blocks
from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.explaining.explanation import Launch, Residency
from gpunn.explaining.hardware import Hardware

_WARP_THREADS = 32
#: A choice of a kernel source that says which tile of the result a block computes.
_TILE_CHOICE = "TILE"
_TILE = re.compile(r"(?:[a-z]+_)?(\d+)(?:x(\d+))?")


def describe_launch(launch: CheckedLaunch, needs: KernelResources | None, hardware: Hardware) -> Launch:
    """A launch as it is shown.

    Args:
        launch: as it was written down.
        needs: of its kernel; None when it was not compiled.
        hardware: that would run it.
    """
    grid = launch.grid
    return Launch(
        kernel=launch.signature.name,
        file=launch.source.path.name,
        choices=tuple(word for _, word in launch.source.chosen),
        tile=_tile(dict(launch.source.chosen).get(_TILE_CHOICE)),
        grid=grid.blocks,
        block=grid.threads,
        dynamic_shared_bytes=grid.dynamic_shared_bytes,
        residency=None if needs is None else residency(launch, needs, hardware),
    )


def residency(launch: CheckedLaunch, needs: KernelResources, hardware: Hardware) -> Residency:
    """Occupancy for the block that is launched, and the waves of its grid.

    (CUDA C++ Best Practices Guide, "Occupancy"; a wave is what all multiprocessors hold at a time.)
    """
    threads = prod(launch.grid.threads)
    shared = needs.static_shared + launch.grid.dynamic_shared_bytes
    blocks = resident_blocks(hardware.architecture, threads, needs.registers, shared)
    waves = prod(launch.grid.blocks) / (blocks * hardware.multiprocessors) if blocks else 0.0
    return Residency(
        registers=needs.registers,
        spill_bytes=needs.spill_stores + needs.spill_loads,
        shared_bytes=shared,
        blocks=blocks,
        occupancy=blocks * -(-threads // _WARP_THREADS) / hardware.limits.warps,
        waves=waves,
        tail_efficiency=waves / ceil(waves) if waves else 0.0,
    )


def _tile(word: str | None) -> str | None:
    """Such as "128x64" for padded_128x64, and "64x64" for 64."""
    found = _TILE.fullmatch(word or "")
    return f"{found[1]}x{found[2] or found[1]}" if found else None
