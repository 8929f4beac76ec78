"""What a device can do at best, as measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ceilings:
    """What the device reached in this run: in a large product of each number type, and in a large copy."""

    flops_per_second: dict[str, float]
    bytes_per_second: float
