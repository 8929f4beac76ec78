"""What a call cannot do without: floating-point operations, and bytes that go to or from memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from gpunn.geometry import Conv2dGeometry, LinearGeometry
from gpunn.program.call import Buffer, Call, buffers_of


@dataclass(frozen=True)
class Cost:
    """The least that a call, or a program, has to do.

    Attributes:
        flops: two per multiply-add; only products are counted.
        bytes: every array that is read or written counts once, one that is both, twice.
    """

    flops: int
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def floor_seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """No device with these ceilings is faster: the longer of the two times."""
        return max(self.flops / flops_per_second, self.bytes / bytes_per_second)


#: What an update writes without reading it: the copy of the weights in the stored type.
_MADE_ANEW = "rounded"


def cost_of(call: Call) -> Cost:
    """The cost of one call. The workspace is not counted: it is the device's own way."""
    geometry = call.settings.get("geometry")
    flops = geometry.flops if isinstance(geometry, Conv2dGeometry | LinearGeometry) else 0
    written = {buffer for buffer in buffers_of(call.writes) if buffer.kind != "workspace"}
    read = {buffer for buffer in buffers_of(call.reads) if buffer.kind != "workspace"}
    if call.settings.get("accumulate"):
        read |= written
    elif call.phase == "update":
        changed = {name: argument for name, argument in call.writes.items() if name != _MADE_ANEW}
        read |= written.intersection(buffers_of(changed))
    return Cost(flops, sum(map(_bytes, written)) + sum(map(_bytes, read)))


def _bytes(buffer: Buffer) -> int:
    return prod(buffer.shape) * buffer.dtype.itemsize
