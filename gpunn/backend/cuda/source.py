"""The source text of kernels, and what their signatures declare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from gpunn.errors import DeviceError

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)'
)
_INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.

    Attributes:
        type: the C type of the value, or of the element behind a pointer, such as "float".
        is_written: a pointer without const.
        is_output: marked OUTPUT: every element is written exactly once.
        is_optional: marked OPTIONAL: the pointer may be null.
    """

    name: str
    type: str
    is_pointer: bool
    is_written: bool
    is_output: bool
    is_optional: bool


@dataclass(frozen=True)
class Signature:
    """The name and the parameters of a kernel."""

    name: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class KernelSource:
    """One .cu file, and the headers that it includes."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The file as it is."""
        try:
            return self.path.read_text()
        except OSError as error:
            raise DeviceError(
                f"the kernel source {self.path} cannot be read ({error.strerror}); install gpunn again"
            ) from None

    @cached_property
    def headers(self) -> dict[str, str]:
        """The text of each header, by the name it is included under."""
        found: dict[str, str] = {}
        waiting = _INCLUDE.findall(self.text)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            beside = self.path.parent / name
            found[name] = (beside if beside.exists() else kernel_folder() / name).read_text()
            waiting += _INCLUDE.findall(found[name])
        return found

    @cached_property
    def signatures(self) -> dict[str, Signature]:
        """Every kernel of the file, by its name."""
        matches = _KERNEL.finditer(_COMMENT.sub("", self.text))
        found = (Signature(match["name"], _parameters(match["parameters"])) for match in matches)
        return {signature.name: signature for signature in found}


def _parameters(text: str) -> tuple[Parameter, ...]:
    return tuple(_parameter(part) for part in text.split(",") if part.strip())


def _parameter(text: str) -> Parameter:
    words = text.replace("*", " * ").split()
    *declaration, name = words
    markers = {"OUTPUT", "OPTIONAL", "const", "*", "__restrict__"}
    is_pointer = "*" in declaration
    return Parameter(
        name=name,
        type=" ".join(word for word in declaration if word not in markers),
        is_pointer=is_pointer,
        is_written=is_pointer and "const" not in declaration,
        is_output="OUTPUT" in declaration,
        is_optional="OPTIONAL" in declaration,
    )


def kernel_folder() -> Path:
    """Where the packaged kernels lie."""
    return Path(str(files("gpunn.kernels")))


def packaged_source(file: str) -> KernelSource:
    """The kernel source of that name in gpunn.kernels, such as "relu.cu"."""
    return KernelSource(kernel_folder() / file)


def packaged_sources() -> list[KernelSource]:
    """Every kernel source of gpunn.kernels."""
    return [KernelSource(path) for path in sorted(kernel_folder().glob("*.cu"))]
