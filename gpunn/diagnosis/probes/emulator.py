"""Does g++ build libraries, and do they load from the cache folder?"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from gpunn.backend.emulator.build import compiler
from gpunn.cache import cache_folder
from gpunn.errors import DeviceError, UsageError

#: Headers of C++, threads and an exported function, as the emulator's libraries have them.
SOURCE = """#include <cmath>
#include <cstdint>
#include <vector>
#include <pthread.h>
extern "C" std::int64_t sum(std::int64_t n) {
  std::vector<std::int64_t> numbers(n, 2);
  std::int64_t total = 0;
  for (auto number : numbers) total += number;
  return total;
}
"""
NUMBERS = 21
#: Bytes; the trial's own library is smaller.
LARGEST_LIBRARY = 2**18


def answer() -> dict[str, Any]:
    """{"version": g++'s}, with "refused": why a library cannot be built, or "does not load": why.

    Raises:
        DeviceError: there is no g++, or the emulator does not run on this kind of machine.
    """
    gxx = compiler()
    version = subprocess.run([gxx, "-dumpfullversion"], capture_output=True, text=True, check=False).stdout.strip()
    with tempfile.TemporaryDirectory(dir=_folder()) as path:
        return {"version": version, **_trial(gxx, Path(path))}


def _folder() -> Path | None:
    """In the cache; None, for a temporary folder, where it cannot be written, which is a question of its own."""
    try:
        folder = cache_folder("emulator")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(LARGEST_LIBRARY))
    except (OSError, UsageError):
        return None
    return folder


def _trial(gxx: str, folder: Path) -> dict[str, str]:
    source, library = folder / "trial.cpp", folder / "trial.so"
    source.write_text(SOURCE)
    flags = ("-std=c++17", "-fPIC", "-march=native", "-shared", "-pthread")
    built = subprocess.run([gxx, *flags, str(source), "-o", str(library)], capture_output=True, text=True, check=False)
    if built.returncode:
        return {"refused": next((line for line in built.stderr.splitlines() if "error" in line), built.stderr.strip())}
    try:
        total = ctypes.CDLL(str(library)).sum(ctypes.c_int64(NUMBERS))
    except OSError as error:
        return {"does not load": str(error)}
    if total != 2 * NUMBERS:
        raise DeviceError(f"what g++ {gxx} builds computes {total} instead of {2 * NUMBERS}")
    return {}
