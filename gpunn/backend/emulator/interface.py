"""What Python and the runtime say to each other: structures mirrored from runtime/interface.h."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from gpunn.backend.cuda.launching.arguments import BoundArgument, rows_of
from gpunn.backend.cuda.launching.launch import CheckedLaunch


class Buffer(ctypes.Structure):
    """emulator::Buffer of runtime/interface.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("row_bytes", ctypes.c_uint64),
        ("pitch_bytes", ctypes.c_uint64),
        ("element_bytes", ctypes.c_uint32),
        ("writable", ctypes.c_uint32),
        ("output", ctypes.c_uint32),
    )


class LaunchRequest(ctypes.Structure):
    """emulator::LaunchRequest of runtime/interface.h."""

    _fields_ = (
        ("kernel", ctypes.c_void_p),
        ("shared_memory_anchor", ctypes.c_void_p),
        ("arguments", ctypes.POINTER(ctypes.c_void_p)),
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("dynamic_shared_bytes", ctypes.c_uint64),
        ("seed", ctypes.c_uint64),
        ("schedule", ctypes.c_uint32),
        ("copies", ctypes.c_uint32),
        ("check", ctypes.c_uint32),
        ("record", ctypes.c_uint32),
        ("buffer_count", ctypes.c_uint64),
        ("buffers", ctypes.POINTER(Buffer)),
        ("report", ctypes.c_char_p),
        ("report_capacity", ctypes.c_uint64),
    )


def array_arguments(launch: CheckedLaunch) -> list[BoundArgument]:
    """The arguments that are arrays; each is one Buffer of the launch."""
    return [argument for argument in launch.arguments if argument.parameter.is_pointer and argument.value is not None]


def c_value(argument: BoundArgument) -> Any:
    """The argument as the kernel wants to find it in memory."""
    value = argument.value
    if argument.parameter.is_pointer:
        return ctypes.c_void_p(None if value is None else value.ctypes.data)
    assert isinstance(value, np.generic)
    return (ctypes.c_char * value.itemsize).from_buffer_copy(value.tobytes())


def buffer_of(argument: BoundArgument) -> Buffer:
    """An array as the runtime sees it."""
    array, parameter = argument.value, argument.parameter
    rows = rows_of(array)
    assert rows is not None
    itemsize = array.dtype.itemsize
    row_bytes = rows.length * itemsize
    pitch_bytes = rows.pitch * itemsize
    return Buffer(
        name=parameter.name.encode(),
        address=array.ctypes.data,
        bytes=(rows.count - 1) * pitch_bytes + row_bytes,
        row_bytes=max(1, row_bytes),
        pitch_bytes=max(1, pitch_bytes),
        element_bytes=itemsize,
        writable=parameter.is_written,
        output=parameter.is_output,
    )
