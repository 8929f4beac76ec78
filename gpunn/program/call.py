"""What a program is made of: named buffers, and calls of primitives on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gpunn.backend.contract import DType, Layout
from gpunn.geometry import Shape

#: "planned" lives between its first and last call; "kept" from its first call to the end of the program and beyond;
#: "input" is written by the host; the others belong to the state that all programs of a network share.
BufferKind = Literal[
    "planned",
    "kept",
    "input",
    "parameter",
    "rounded",
    "gradient",
    "statistic",
    "pending",
    "control",
    "flat",
    "workspace",
]


@dataclass(frozen=True)
class Buffer:
    """An array of a program, known by its name."""

    name: str
    shape: Shape
    dtype: DType
    layout: Layout
    kind: BufferKind


Argument = Buffer | tuple[Buffer, ...] | None


def buffers_of(arguments: Mapping[str, Argument]) -> Iterator[Buffer]:
    """The buffers among some arguments."""
    for argument in arguments.values():
        if isinstance(argument, Buffer):
            yield argument
        elif argument is not None:
            yield from argument


@dataclass(frozen=True)
class Call:
    """One primitive, the buffers it writes and reads by argument name, and its settings."""

    primitive: str
    node: str
    phase: Literal["forward", "loss", "backward", "update"]
    writes: Mapping[str, Argument]
    reads: Mapping[str, Argument]
    settings: Mapping[str, Any]

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """Everything the call touches."""
        return (*buffers_of(self.writes), *buffers_of(self.reads))

    def replaced(self, old: Buffer, new: Buffer) -> Call:
        """The same call on another buffer."""

        def swap(argument: Argument) -> Argument:
            if isinstance(argument, tuple):
                return tuple(new if buffer == old else buffer for buffer in argument)
            return new if argument == old else argument

        return Call(
            self.primitive,
            self.node,
            self.phase,
            {name: swap(argument) for name, argument in self.writes.items()},
            {name: swap(argument) for name, argument in self.reads.items()},
            self.settings,
        )
