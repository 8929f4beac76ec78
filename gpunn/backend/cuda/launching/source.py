"""The source text of kernels, and what their signatures declare."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from itertools import product
from pathlib import Path

from gpunn.errors import DeviceError, UsageError

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)'
)
_INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"', re.MULTILINE)
_ARCHITECTURES = re.compile(r"^// Architectures: sm_(\d+) and later$", re.MULTILINE)
_CHOICE = re.compile(r"^// ([A-Z][A-Z_0-9]*): (\w+(?: \| \w+)*)$", re.MULTILINE)

#: What kernels are compiled for, from the oldest to the newest; "90a" has what only Hopper has.
ARCHITECTURES = ("75", "80", "86", "89", "90", "90a", "100", "120")

#: One word for every compile-time choice of a source, such as {"STORED": "bfloat16"}.
Choices = Mapping[str, str]


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
    """One .cu file with the headers that it includes, and what was chosen of what it leaves open.

    A line `// NAME: word | word` of the file declares a compile-time choice: the compiler is told -DNAME=word.

    Attributes:
        chosen: pairs of name and word, in the order of the declarations; empty as long as nothing is chosen.
    """

    path: Path
    chosen: tuple[tuple[str, str], ...] = ()

    @cached_property
    def text(self) -> str:
        """The file as it is."""
        try:
            return self.path.read_text()
        except OSError as error:
            raise DeviceError(
                f"the kernel source {self.path} cannot be read ({error.strerror}); install gpunn again"
            ) from None

    @property
    def name(self) -> str:
        """The file's name with what was chosen, such as "relu.cu<bfloat16>"."""
        return self.path.name + self.suffix

    @property
    def suffix(self) -> str:
        """What was chosen, such as "<bfloat16>"; empty when there is no choice."""
        return f"<{', '.join(word for _, word in self.chosen)}>" if self.chosen else ""

    @cached_property
    def architectures(self) -> tuple[str, ...]:
        """Those of ARCHITECTURES that the file declares, in a line `// Architectures: sm_80 and later`.

        Raises:
            DeviceError: when it declares none.
        """
        found = _ARCHITECTURES.search(self.text)
        if found is None:
            raise DeviceError(f"{self.path.name} does not say '// Architectures: sm_NN and later' in its head")
        return tuple(name for name in ARCHITECTURES if int(name.rstrip("a")) >= int(found[1]))

    @cached_property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The words of every compile-time choice, by its name."""
        return {name: tuple(words.split(" | ")) for name, words in _CHOICE.findall(self.text)}

    def choose(self, chosen: Choices) -> KernelSource:
        """The source with a word for every choice that it declares.

        Raises:
            UsageError: when a choice is missing or unknown, or its word is none of those declared.
        """
        if set(chosen) != set(self.choices):
            raise UsageError(
                f"{self.path.name} leaves open {', '.join(self.choices) or 'nothing'}; "
                f"got a choice of {', '.join(chosen) or 'nothing'}"
            )
        for name, word in chosen.items():
            if word not in self.choices[name]:
                raise UsageError(f"{self.path.name}: {name} is {word}; it may be {', '.join(self.choices[name])}")
        return replace(self, chosen=tuple((name, chosen[name]) for name in self.choices))

    def variants(self) -> Iterator[KernelSource]:
        """The source with every combination of its choices."""
        for words in product(*self.choices.values()):
            yield self.choose(dict(zip(self.choices, words, strict=True)))

    @cached_property
    def definitions(self) -> tuple[str, ...]:
        """What was chosen, as options of a C++ compiler."""
        return tuple(f"-D{name}={word}" for name, word in self.chosen)

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
    """Every kernel source of gpunn.kernels, with its choices left open."""
    return [KernelSource(path) for path in sorted(kernel_folder().glob("*.cu"))]
