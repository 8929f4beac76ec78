"""What a cubin holds: for each kernel its machine code, and the largest block that it was compiled for.

A cubin is an ELF file of 64 bits; each kernel has a section .text.NAME of code and a section .nv.info.NAME of
attributes. (Tool Interface Standard, "Executable and Linking Format", 1995; CUDA Binary Utilities.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod

_SECTION_TABLE_OFFSET = struct.Struct("<Q")
_SECTION_TABLE_SHAPE = struct.Struct("<HHH")
#: Name, type, flags, address, offset, size, link, info, alignment, size of an entry.
_SECTION = struct.Struct("<IIQQQQIIQQ")
#: Where the ELF header holds the two.
_AT_OFFSET, _AT_SHAPE = 0x28, 0x3A
#: A section of this type has no bytes in the file.
_NO_BITS = 8

#: Attributes are a format, a number, and two bytes of value or of the value's length.
_ATTRIBUTE = struct.Struct("<BBH")
_FORMAT_WITH_LENGTH = 4
#: EIATTR_MAX_THREADS: three 32-bit extents, from __launch_bounds__.
_MAX_THREADS = 5
_EXTENTS = struct.Struct("<III")


@dataclass(frozen=True)
class KernelCode:
    """The machine code of a kernel, and the threads of its largest block; None when it does not say."""

    code: bytes
    largest_block: int | None


def kernel_codes(cubin: bytes) -> dict[str, KernelCode]:
    """Every kernel of a cubin, by its name."""
    sections = _sections(cubin)
    prefix = ".text."
    return {
        name.removeprefix(prefix): KernelCode(content, _largest_block(sections.get(f".nv.info.{name[len(prefix) :]}")))
        for name, content in sections.items()
        if name.startswith(prefix)
    }


def _sections(elf: bytes) -> dict[str, bytes]:
    (start,) = _SECTION_TABLE_OFFSET.unpack_from(elf, _AT_OFFSET)
    length, count, names_index = _SECTION_TABLE_SHAPE.unpack_from(elf, _AT_SHAPE)
    headers = [_SECTION.unpack_from(elf, start + length * i) for i in range(count)]
    names_start = headers[names_index][4]
    found = {}
    for name, kind, _, _, offset, size, *_ in headers:
        end = elf.index(b"\0", names_start + name)
        found[elf[names_start + name : end].decode()] = b"" if kind == _NO_BITS else elf[offset : offset + size]
    return found


def _largest_block(attributes: bytes | None) -> int | None:
    position = 0
    while attributes is not None and position < len(attributes):
        format_, number, value = _ATTRIBUTE.unpack_from(attributes, position)
        position += _ATTRIBUTE.size
        if format_ != _FORMAT_WITH_LENGTH:
            continue
        if number == _MAX_THREADS:
            return int(prod(_EXTENTS.unpack_from(attributes, position)))
        position += value
    return None
