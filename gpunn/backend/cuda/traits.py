"""What tells one CUDA device from another, besides its memory and its executor."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpunn.backend.cuda.graph import ListRecorder, Recorder
from gpunn.backend.cuda.tune import Tuner

#: The compute capability from which on there are tensor cores for tf32 and bfloat16 (PTX ISA, mma).
_TENSOR_CORES = 80
#: The emulator's: the kernels for it are the ones that the emulator has all instructions of.
EMULATED_CAPABILITY = 80


@dataclass(frozen=True)
class Traits:
    """What a device can do, and how it records and tunes; those of an emulator unless told otherwise.

    Attributes:
        capability: compute capability, such as 75 or 90.
        recorder: writes steps down.
        tuner: chooses among kernels.
    """

    capability: int = EMULATED_CAPABILITY
    recorder: Recorder = field(default_factory=ListRecorder)
    tuner: Tuner = field(default_factory=lambda: Tuner("emulator"))

    @property
    def precisions(self) -> tuple[str, ...]:
        """The names of gpunn.precision that the device computes."""
        wide = ("float32", "float16")
        return ("float32", "tf32", "bfloat16", "float16") if self.capability >= _TENSOR_CORES else wide
