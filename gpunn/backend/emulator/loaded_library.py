"""A kernel library in this process: its functions, and the source lines of its machine code."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gpunn.backend.emulator.build import HOST_HEADERS, KernelLibrary
from gpunn.errors import DeviceError

_CODE_ADDRESS = re.compile(r"<\+(0x[0-9a-f]+)>")


def load_library(path: Path) -> ctypes.CDLL:
    """A library that g++ built, in this process.

    Raises:
        DeviceError: when the file is damaged.
    """
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise DeviceError(f"the emulator cannot load {path} ({error}); delete it, and it is built anew") from None


class LoadedLibrary:
    """What g++ built of one kernel source."""

    def __init__(self, library: KernelLibrary) -> None:
        self._path: Path = library.path
        self._library = load_library(library.path)

    def address(self, function: str) -> int:
        """Where a function lies."""
        return ctypes.cast(getattr(self._library, function), ctypes.c_void_p).value or 0

    def write_coverage(self) -> None:
        """Leave the counts of a coverage build beside the library. They can be written once only."""
        self._library.emulator_write_coverage()

    def with_lines(self, report: str) -> str:
        """The report with file and line for every code address."""
        addresses = set(_CODE_ADDRESS.findall(report))
        if not addresses:
            return report
        places = self.places([int(address, 16) for address in addresses])
        return _CODE_ADDRESS.sub(lambda match: ", called at ".join(places.get(int(match[1], 16), (match[0],))), report)

    def places(self, addresses: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Files and lines of code addresses, such as ("relu.cu:21",); of those that addr2line can tell.

        The line of an access inside an inlined function comes first, then the line that calls the function, and so on.
        Functions of the host headers, such as __ldg, are left out.
        """
        command = ["addr2line", "--addresses", "--inlines", "-s", "-e", str(self._path), *map(hex, addresses)]
        try:
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return {}
        found: dict[int, tuple[str, ...]] = {}
        address = 0
        for line in output.splitlines():
            if line.startswith("0x"):
                address = int(line, 16)
            elif line.partition(":")[0] not in HOST_HEADERS:
                found[address] = (*found.get(address, ()), line.split(" ")[0])
        return found
