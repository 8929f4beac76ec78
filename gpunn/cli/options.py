"""Options and arguments that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from gpunn.errors import UsageError
from gpunn.geometry import Shape

if TYPE_CHECKING:
    from gpunn.backend.attributes import ConvolutionAlgorithm

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that gpunn train printed.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A name from gpunn models.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or emulator.")]
CheckOption = Annotated[
    bool, typer.Option("--check", help="With --device emulator: look for races and wild accesses in kernels.")
]
AlgorithmOption = Annotated[
    str, typer.Option(help="Of convolutions on the CPU: auto, direct (rounds least) or winograd (fewer products).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]
InputOption = Annotated[str | None, typer.Option("--input", help="Rows x columns x channels, such as 224x224x3.")]
ClassesOption = Annotated[int | None, typer.Option(min=1, help="Classes instead of the model's own number.")]


def parse_algorithm(text: str) -> ConvolutionAlgorithm:
    """One of the algorithms.

    Raises:
        UsageError: when it is none of them.
    """
    # gpunn doctor reads this file, and works where NumPy does not.
    from gpunn.backend.attributes import ConvolutionAlgorithm

    known = get_args(ConvolutionAlgorithm)
    if text not in known:
        raise UsageError(f"--algorithm {text!r} is not one of {', '.join(known)}")
    return cast("ConvolutionAlgorithm", text)


def parse_shape(text: str) -> Shape:
    """224x224x3 as numbers.

    Raises:
        UsageError: when it is not of that form.
    """
    if not re.fullmatch(r"[1-9]\d{0,6}x[1-9]\d{0,6}x[1-9]\d{0,6}", text):
        raise UsageError(f"--input {text!r} is not rows x columns x channels, such as 224x224x3")
    return tuple(int(extent) for extent in text.split("x"))
