"""What tells one CUDA device from another, besides its memory and its executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gpunn.backend.contract import Array
from gpunn.backend.cuda.graph import ListRecorder, Recorder
from gpunn.backend.cuda.tune import Tuner
from gpunn.backend.host_clock import host_seconds
from gpunn.cores import processor_name

#: The compute capability from which on there are tensor cores for tf32 and bfloat16 (PTX ISA, mma).
_TENSOR_CORES = 80
#: The emulator's: the kernels for it are the ones that the emulator has all instructions of.
EMULATED_CAPABILITY = 80


#: Keeps a device busy for about so many seconds.
Hold = Callable[[float], None]
#: Seconds of steps that follow each other on a device; what is held meanwhile lets the host get ahead.
Clock = Callable[[Sequence[Callable[[], object]], Hold], list[float]]
#: y = x w by the maker's library, and its name; None where it does nothing.
LibraryProduct = Callable[[Array, Array, Array], str | None]


def emulated_seconds(steps: Sequence[Callable[[], object]], hold: Hold) -> list[float]:
    """Of what is over when its call returns: there is nothing to hold."""
    return host_seconds(steps)


def no_library(y: Array, x: Array, w: Array) -> None:
    """There is none."""


@dataclass(frozen=True)
class Traits:
    """What a device can do, and how it records, tunes and times; those of an emulator unless told otherwise.

    Attributes:
        capability: compute capability, such as 75 or 90.
        recorder: writes steps down.
        tuner: chooses among kernels.
        hardware: what the maker calls it.
        clock: times steps.
        library_product: multiplies as fast as the maker can.
    """

    capability: int = EMULATED_CAPABILITY
    recorder: Recorder = field(default_factory=ListRecorder)
    tuner: Tuner = field(default_factory=lambda: Tuner("emulator"))
    hardware: str = field(default_factory=lambda: f"emulated on {processor_name()}")
    clock: Clock = emulated_seconds
    library_product: LibraryProduct = no_library

    @property
    def precisions(self) -> tuple[str, ...]:
        """The names of gpunn.precision that the device computes."""
        wide = ("float32", "float16")
        return ("float32", "tf32", "bfloat16", "float16") if self.capability >= _TENSOR_CORES else wide
