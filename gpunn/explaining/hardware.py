"""What three GPUs can do at best, so that a program can be explained for one that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gpunn.backend.cuda.inspection.occupancy import LIMITS, Limits
from gpunn.errors import UsageError

_TERA = 1e12
_GIBIBYTE = 2**30


@dataclass(frozen=True)
class Ceiling:
    """A rate that nothing exceeds.

    Attributes:
        per_second: operations, two per multiply-add, or bytes, read and written.
        source: where the figure is from.
    """

    per_second: float
    source: str


@dataclass(frozen=True)
class Hardware:
    """A model of GPU.

    Attributes:
        name: as its driver says it, shortened.
        word: in the names that drivers and results give it, such as "H100".
        architecture: that kernels are compiled for; what a multiprocessor holds follows from it.
        multiprocessors: that are switched on.
        memory_bytes: of the board; driver and CUDA keep some of them.
        products: by what products round their factors to, see gpunn.precision.
        copy: of the memory.
    """

    name: str
    word: str
    architecture: str
    multiprocessors: int
    memory_bytes: int
    products: Mapping[str, Ceiling]
    copy: Ceiling

    @property
    def limits(self) -> Limits:
        """What a multiprocessor holds."""
        return LIMITS[self.architecture]


#: Nothing of gpunn ran on it.
_LARGE_PRODUCT = "measured by others, in a large product"
_AS_BFLOAT16 = "taken to be bfloat16's, which the vendor gives the same rate"
_A100_PAPER = "nominal: NVIDIA A100 Tensor Core GPU Architecture, 2020, dense"
_ADA_PAPER = "nominal: NVIDIA Ada GPU Architecture, 2022, appendix A, dense, sums in float32"


def _products(float32: float, tf32: float, half: float, source: str, float16: str | None = None) -> dict[str, Ceiling]:
    """TFLOP/s of each number type; tensor cores multiply both 16-bit types at one rate."""
    return {
        "float32": Ceiling(float32 * _TERA, source),
        "tf32": Ceiling(tf32 * _TERA, source),
        "bfloat16": Ceiling(half * _TERA, source),
        "float16": Ceiling(half * _TERA, float16 or source),
    }


#: By the name on the command line.
HARDWARE: Mapping[str, Hardware] = MappingProxyType(
    {
        "h100": Hardware(
            name="NVIDIA H100 SXM 80 GB",
            word="H100",
            architecture="90",
            multiprocessors=132,
            memory_bytes=80 * _GIBIBYTE,
            products=_products(47, 417, 798, _LARGE_PRODUCT, _AS_BFLOAT16),
            copy=Ceiling(3.0 * _TERA, "measured by others, in a large copy"),
        ),
        "a100": Hardware(
            name="NVIDIA A100 SXM 80 GB",
            word="A100",
            architecture="80",
            multiprocessors=108,
            memory_bytes=80 * _GIBIBYTE,
            products=_products(19.5, 156, 312, _A100_PAPER),
            copy=Ceiling(2.039 * _TERA, "nominal: NVIDIA A100 data sheet, 2021, bandwidth of the memory"),
        ),
        "rtx4090": Hardware(
            name="NVIDIA GeForce RTX 4090",
            word="RTX 4090",
            architecture="89",
            multiprocessors=128,
            memory_bytes=24 * _GIBIBYTE,
            products=_products(82.6, 82.6, 165.2, _ADA_PAPER),
            copy=Ceiling(1.008 * _TERA, "nominal: NVIDIA Ada GPU Architecture, 2022, bandwidth of the memory"),
        ),
    }
)


def find_hardware(name: str) -> Hardware:
    """The GPU of that name.

    Raises:
        UsageError: when none is known by it.
    """
    if name not in HARDWARE:
        raise UsageError(f"--device {name!r} is not known here; choose one of {', '.join(HARDWARE)}, cpu")
    return HARDWARE[name]
