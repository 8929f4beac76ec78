"""The passes over images that batch norm and group norm have in common: kernels/normalization.cu."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpunn.backend.attributes import Activation
from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import LARGEST_PARTIALS, CudaDevice
from gpunn.backend.cuda.shared.columns import Columns, Slices, pitched
from gpunn.errors import UsageError

#: Numbers a channel has in sums and coefficients: see kernels/normalization.cuh.
MOMENT_KINDS = 3
PRODUCT_KINDS = 2
COEFFICIENT_KINDS = 3
BACKWARD_KINDS = 4


@dataclass(frozen=True)
class Scratch:
    """How the rows of an image are cut, and where sums and coefficients lie between the passes."""

    columns: Columns
    slices: Slices
    sums: Array
    coefficients: Array


def scratch_for(
    device: CudaDevice, primitive: str, columns: Columns, sum_kinds: int, coefficient_kinds: int
) -> Scratch:
    """The scratch between two passes over `columns`, cut into as many slices as it has room for.

    Raises:
        UsageError: when it has none.
    """
    numbers = columns.images * columns.channels
    require_room(primitive, numbers, sum_kinds + coefficient_kinds)
    slices = columns.gathering_slices(most=(LARGEST_PARTIALS // numbers - coefficient_kinds) // sum_kinds)
    boundary = slices.count * sum_kinds * numbers
    partials = device.partials(boundary + coefficient_kinds * numbers)
    return Scratch(columns, slices, partials[:boundary], partials[boundary:])


def require_room(primitive: str, channels: int, kinds: int) -> None:
    """Check that every channel has its place in the scratch.

    Raises:
        UsageError: when there are too many.
    """
    most = LARGEST_PARTIALS // kinds
    if channels > most:
        raise UsageError(f"{primitive}: {channels} channels; CUDA normalises at most {most}: use the CPU")


def runs_of_images(primitive: str, x: Array, kinds: int) -> Iterator[slice]:
    """The images of x, as many at a time as there is scratch for.

    Raises:
        UsageError: when there is not enough for one.
    """
    images, channels = x.shape[0], x.shape[-1]
    require_room(primitive, channels, kinds)
    step = LARGEST_PARTIALS // (kinds * channels)
    return (slice(first, min(first + step, images)) for first in range(0, images, step))


def gather_moments(device: CudaDevice, scratch: Scratch, x: Array) -> None:
    """Shift, rest and squares of each channel of each slice."""
    columns, slices = scratch.columns, scratch.slices
    arguments = {"sums": scratch.sums, **pitched(x=x), **columns.sizes(slices)}
    device.launcher.launch("normalization.cu", "column_moments", columns.grid(slices), arguments, columns.choices)


def normalize(
    device: CudaDevice, y: Array, x: Array, coefficients: Array, columns: Columns, activation: Activation
) -> None:
    """y = f((x - shift) * scale + offset); an f other than ReLU is applied to y afterwards."""
    slices = columns.streaming_slices()
    device.launcher.launch(
        "normalization.cu",
        "normalize_columns",
        columns.grid(slices),
        {
            **pitched(y=y, x=x),
            "coefficients": coefficients,
            **columns.sizes(slices),
            "apply_relu": activation.name == "relu",
        },
        columns.choices,
    )
    if activation.name not in ("linear", "relu"):
        device.primitives.activation_forward(device, y, y, activation)


def gather_products(device: CudaDevice, scratch: Scratch, gy: Array, x: Array, mean: Array, groups: int) -> None:
    """Sums of gy and of gy * (x - mean) of each channel of each slice; `mean` has a number for each group."""
    columns, slices = scratch.columns, scratch.slices
    arguments = {"sums": scratch.sums, **pitched(gy=gy, x=x), "mean": mean, **columns.sizes(slices), "groups": groups}
    device.launcher.launch("normalization.cu", "column_products", columns.grid(slices), arguments, columns.choices)


def apply_gradient(device: CudaDevice, gx: Array, gy: Array, x: Array, scratch: Scratch, accumulate: bool) -> None:
    """gx = gy * factor + (x - shift) * scale + offset."""
    columns = scratch.columns
    slices = columns.streaming_slices()
    device.launcher.launch(
        "normalization.cu",
        "columns_gradient",
        columns.grid(slices),
        {
            **pitched(gx=gx, gy=gy, x=x),
            "coefficients": scratch.coefficients,
            **columns.sizes(slices),
            "accumulate": accumulate,
        },
        columns.choices,
    )
