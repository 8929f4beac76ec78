"""Occupancy against rows of NVIDIA's occupancy calculator."""

from __future__ import annotations

import pytest

from gpunn.backend.cuda.inspection.occupancy import LIMITS, occupancy
from gpunn.backend.cuda.launching.source import ARCHITECTURES

KIB = 1024


@pytest.mark.parametrize(
    ("architecture", "threads", "registers", "shared", "warps"),
    [
        ("80", 256, 32, 0, 64),
        ("80", 256, 33, 0, 48),
        ("80", 256, 48, 0, 40),
        ("80", 256, 64, 0, 32),
        ("80", 256, 128, 0, 16),
        ("80", 128, 255, 0, 8),
        ("80", 1024, 64, 0, 32),
        ("80", 1024, 65, 0, 0),
        ("80", 32, 16, 0, 32),
        ("80", 48, 16, 0, 64),
        ("80", 96, 168, 0, 12),
        ("80", 128, 32, 40 * KIB, 16),
        ("80", 128, 32, 41 * KIB, 12),
        ("80", 128, 32, 163 * KIB, 4),
        ("75", 256, 32, 0, 32),
        ("75", 128, 32, 16 * KIB, 16),
        ("75", 128, 32, 64 * KIB, 4),
        ("86", 256, 32, 0, 48),
        ("86", 64, 32, 0, 32),
        ("89", 64, 32, 0, 48),
        ("86", 128, 32, 99 * KIB, 4),
        ("86", 128, 32, 100 * KIB, 0),
        ("90a", 128, 32, 227 * KIB, 4),
        ("100", 384, 168, 100 * KIB, 12),
        ("120", 256, 40, 0, 48),
    ],
)
def test_warps_that_fit(architecture: str, threads: int, registers: int, shared: int, warps: int) -> None:
    assert occupancy(architecture, threads, registers, shared) * LIMITS[architecture].warps == pytest.approx(warps)


def test_every_architecture_has_limits() -> None:
    assert set(LIMITS) == set(ARCHITECTURES)
