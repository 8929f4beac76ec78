"""The ReLU whose slope is learned, on CUDA."""

from __future__ import annotations

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import LARGEST_PARTIALS, CudaDevice
from gpunn.backend.cuda.shared.columns import columns_of, pitched, reducing_grid, require_shapes
from gpunn.errors import UsageError

_FILE = "parametric_relu.cu"


def parametric_relu_forward(device: CudaDevice, y: Array, x: Array, slope: Array) -> None:
    """y = max(0, x) + slope[c] min(0, x); y may be x. x and y have the stored type, slope is float32.

    Raises:
        UsageError: for shapes that do not fit.
    """
    require_shapes("parametric_relu_forward", x.shape, y=y)
    require_shapes("parametric_relu_forward", x.shape[-1:], slope=slope)
    columns = columns_of(device, 1, y, x)
    slices = columns.streaming_slices()
    device.launcher.launch(
        _FILE,
        "parametric_relu_forward",
        columns.grid(slices),
        {**pitched(y=y, x=x), "slope": slope, **columns.sizes(slices)},
        columns.choices,
    )


def parametric_relu_backward(
    device: CudaDevice,
    gx: Array | None,
    gslope: Array,
    gy: Array,
    x: Array,
    slope: Array,
    accumulate: bool,
    accumulate_parameters: bool,
) -> None:
    """gx = gy where x > 0, else slope[c] gy; gslope[c] = the sum of gy min(0, x). gx may be gy, or None.

    gx, gy and x have the stored type, slope and gslope are float32.

    Raises:
        UsageError: for shapes that do not fit, or more channels than there is scratch for.
    """
    require_shapes("parametric_relu_backward", x.shape, gx=gx, gy=gy)
    require_shapes("parametric_relu_backward", x.shape[-1:], gslope=gslope, slope=slope)
    into = {} if gx is None else {"gx": gx}
    columns = columns_of(device, 1, gy, x, *into.values())
    if columns.channels > LARGEST_PARTIALS:
        raise UsageError(
            f"parametric_relu_backward: {columns.channels} channels; CUDA takes at most {LARGEST_PARTIALS}: use the CPU"
        )
    slices = columns.gathering_slices(most=LARGEST_PARTIALS // columns.channels)
    sums = device.partials(slices.count * columns.channels)
    device.launcher.launch(
        _FILE,
        "parametric_relu_backward",
        columns.grid(slices),
        {
            **pitched(gy=gy, x=x),
            **(pitched(gx=gx) if into else {"gx": None, "gx_pitch": 0}),
            "sums": sums,
            "slope": slope,
            **columns.sizes(slices),
            "accumulate": accumulate,
        },
        columns.choices,
    )
    device.launcher.launch(
        "column_sums.cu",
        "column_sums",
        reducing_grid(columns.channels),
        {
            "total": gslope,
            "sums": sums,
            "channels": columns.channels,
            "slices": slices.count,
            "accumulate": accumulate_parameters,
        },
    )
