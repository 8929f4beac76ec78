"""What kernels do to memory, from recorded addresses: exact counts, which take no GPU and say nothing about time.

The counts are those of Nsight Compute. Shared memory has 32 banks of 4 bytes: a warp's request takes as many wavefronts
as the fullest bank has different words. Global memory moves in sectors of 32 bytes: the ideal is as many as the bytes
that the warp asked for would fill.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

Space = Literal["shared", "global"]
Operation = Literal["read", "write"]
_Counts = TypeVar("_Counts", "Traffic", "BufferTraffic")


class RecordedAccess(ctypes.Structure):
    """emulator::RecordedAccess of runtime/interface.h."""

    _fields_ = (
        ("code_address", ctypes.c_uint64),
        ("file", ctypes.c_char_p),
        ("line", ctypes.c_uint32),
        ("shared", ctypes.c_uint32),
        ("write", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        ("requests", ctypes.c_uint64),
        ("lanes", ctypes.c_uint64),
        ("wavefronts", ctypes.c_uint64),
        ("ideal_wavefronts", ctypes.c_uint64),
        ("sectors", ctypes.c_uint64),
        ("ideal_sectors", ctypes.c_uint64),
    )


class RecordedBuffer(ctypes.Structure):
    """emulator::RecordedBuffer of runtime/interface.h."""

    _fields_ = (
        ("bytes_read", ctypes.c_uint64),
        ("bytes_written", ctypes.c_uint64),
        ("sector_bytes_read", ctypes.c_uint64),
        ("sector_bytes_written", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class Access:
    """One kind of access at one line of a kernel.

    Attributes:
        kernel: its name.
        places: file and line, such as "relu.cu:21". An access inside an inlined function has several: the function's
            line, then the line that calls it, and so on.
        bytes: of one lane.
    """

    kernel: str
    places: tuple[str, ...]
    space: Space
    operation: Operation
    bytes: int


@dataclass(frozen=True)
class Traffic:
    """What the warps that made an access moved.

    Attributes:
        requests: accesses of a whole warp.
        lanes: that took part in them.
        wavefronts: of shared memory; 0 for global memory.
        ideal_wavefronts: what they would be without bank conflicts.
        sectors: of global memory; 0 for shared memory.
        ideal_sectors: what they would be if each request's bytes lay together, aligned.
    """

    requests: int = 0
    lanes: int = 0
    wavefronts: int = 0
    ideal_wavefronts: int = 0
    sectors: int = 0
    ideal_sectors: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return _sum(self, other)


@dataclass(frozen=True)
class BufferTraffic:
    """What one kernel moved of one of its array arguments.

    Attributes:
        bytes_read: different bytes that were read: what must come from memory at least, in one launch.
        bytes_written: different bytes that were written.
        sector_bytes_read: bytes of all sectors of all requests: what the caches must serve.
        sector_bytes_written: the same of writes.
    """

    bytes_read: int = 0
    bytes_written: int = 0
    sector_bytes_read: int = 0
    sector_bytes_written: int = 0

    def __add__(self, other: BufferTraffic) -> BufferTraffic:
        return _sum(self, other)


def _sum(a: _Counts, b: _Counts) -> _Counts:
    return type(a)(*(getattr(a, field.name) + getattr(b, field.name) for field in fields(a)))


@dataclass(frozen=True)
class Profile:
    """The traffic of all launches so far.

    Attributes:
        lines: by access.
        buffers: by kernel and argument.
    """

    lines: Mapping[Access, Traffic]
    buffers: Mapping[tuple[str, str], BufferTraffic]

    def at(self, file: str, space: Space, operation: Operation | None = None) -> dict[Access, Traffic]:
        """The accesses to that memory whose line, or a line that calls its function, lies in that file."""
        return {
            access: traffic
            for access, traffic in self.lines.items()
            if access.space == space
            and operation in (None, access.operation)
            and any(place.startswith(f"{file}:") for place in access.places)
        }

    def table(self) -> str:
        """One line for each access: wavefronts or sectors of a request and the ideal, what, and where."""
        rows = [f"{'requests':>9} {'each takes':>10} {'ideal':>6}  {'access':16} {'kernel and line'}"]
        for access in sorted(self.lines, key=lambda access: (access.kernel, access.places[::-1])):
            traffic = self.lines[access]
            taken, ideal = traffic.wavefronts, traffic.ideal_wavefronts
            if access.space == "global":
                taken, ideal = traffic.sectors, traffic.ideal_sectors
            each, ideal_each = taken / traffic.requests, ideal / traffic.requests
            what = f"{access.space} {access.operation} {access.bytes}"
            where = f"{access.kernel} {', called at '.join(access.places)}"
            rows.append(f"{traffic.requests:9} {each:10.2f} {ideal_each:6.2f}  {what:16} {where}")
        return "\n".join(rows)


class ProfileBuilder:
    """Adds up what launches recorded."""

    def __init__(self) -> None:
        self._lines: dict[Access, Traffic] = {}
        self._buffers: dict[tuple[str, str], BufferTraffic] = {}

    def profile(self) -> Profile:
        """What was recorded so far."""
        return Profile(dict(self._lines), dict(self._buffers))

    def add_access(self, kernel: str, places: tuple[str, ...], recorded: RecordedAccess) -> None:
        """The traffic of one instruction."""
        space: Space = "shared" if recorded.shared else "global"
        access = Access(kernel, places, space, "write" if recorded.write else "read", recorded.bytes)
        traffic = Traffic(*(getattr(recorded, field.name) for field in fields(Traffic)))
        self._lines[access] = self._lines.get(access, Traffic()) + traffic

    def add_buffer(self, kernel: str, argument: str, recorded: RecordedBuffer) -> None:
        """The traffic of one array."""
        traffic = BufferTraffic(*(getattr(recorded, field.name) for field in fields(BufferTraffic)))
        key = (kernel, argument)
        self._buffers[key] = self._buffers.get(key, BufferTraffic()) + traffic
