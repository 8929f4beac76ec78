"""Batch norm and group norm on CUDA: a pass that gathers sums, a small launch that makes coefficients of them, and a
pass that applies these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpunn.backend.attributes import Activation, Normalization
from gpunn.backend.contract import Array
from gpunn.backend.cuda.columns import Columns, columns_of, pitched, reducing_grid, require_shapes
from gpunn.backend.cuda.device import LARGEST_PARTIALS, CudaDevice
from gpunn.backend.cuda.launch import Grid, striding_grid
from gpunn.errors import UsageError

#: Numbers a channel has in sums and coefficients: see kernels/normalization.cuh.
_MOMENT_KINDS = 3
_PRODUCT_KINDS = 2
_COEFFICIENT_KINDS = 3
_BACKWARD_KINDS = 4
#: GROUP_THREADS of kernels/group_norm.cu.
_GROUP_THREADS = 128


def batch_norm_forward(
    device: CudaDevice,
    y: Array,
    mean: Array,
    inverse_deviation: Array,
    running_mean: Array,
    running_variance: Array,
    x: Array,
    gamma: Array,
    beta: Array,
    settings: Normalization,
    activation: Activation,
) -> None:
    """y = f(gamma (x - mean) / sqrt(variance + eps) + beta), the statistics over all but the last axis.

    x and y have the stored type, everything else is float32. ReLU is part of the kernel; any other f is applied to y
    afterwards. y may be x.

    Raises:
        UsageError: for shapes that do not fit, or more channels than there is scratch for.
    """
    require_shapes("batch_norm_forward", x.shape, y=y)
    parameters = {"running_mean": running_mean, "running_variance": running_variance, "gamma": gamma, "beta": beta}
    saved = {"mean": mean, "inverse_deviation": inverse_deviation}
    require_shapes("batch_norm_forward", x.shape[-1:], **parameters, **saved)
    columns = columns_of(device, 1, x, y)
    scratch = _scratch(device, "batch_norm_forward", columns, _MOMENT_KINDS, _COEFFICIENT_KINDS)
    _gather_moments(device, scratch, x)
    device.launcher.launch(
        "batch_norm.cu",
        "batch_norm_statistics",
        reducing_grid(columns.channels),
        {
            "coefficients": scratch.coefficients,
            "sums": scratch.sums,
            **parameters,
            **saved,
            **columns.sizes(scratch.slices),
            "eps": settings.eps,
            "momentum": settings.momentum,
        },
    )
    _normalize(device, y, x, scratch.coefficients, columns, activation)


def batch_norm_inference(
    device: CudaDevice,
    y: Array,
    x: Array,
    running_mean: Array,
    running_variance: Array,
    gamma: Array,
    beta: Array,
    settings: Normalization,
    activation: Activation,
) -> None:
    """The function of batch_norm_forward with the running statistics in place of those of the batch.

    Raises:
        UsageError: for shapes that do not fit, or more channels than there is scratch for.
    """
    require_shapes("batch_norm_inference", x.shape, y=y)
    parameters = {"running_mean": running_mean, "running_variance": running_variance, "gamma": gamma, "beta": beta}
    require_shapes("batch_norm_inference", x.shape[-1:], **parameters)
    columns = columns_of(device, 1, x, y)
    _require_room("batch_norm_inference", columns.channels, _COEFFICIENT_KINDS)
    coefficients = device.partials(_COEFFICIENT_KINDS * columns.channels)
    device.launcher.launch(
        "batch_norm.cu",
        "batch_norm_running",
        striding_grid(columns.channels),
        {"coefficients": coefficients, **parameters, "channels": columns.channels, "eps": settings.eps},
    )
    _normalize(device, y, x, coefficients, columns, activation)


def batch_norm_backward(
    device: CudaDevice,
    gx: Array | None,
    ggamma: Array,
    gbeta: Array,
    gy: Array,
    x: Array,
    mean: Array,
    inverse_deviation: Array,
    gamma: Array,
    accumulate: bool,
    accumulate_parameters: bool,
) -> None:
    """Gradients of x, gamma and beta through the batch statistics; gy is the one behind the activation.

    With h = (x - mean) * inverse_deviation and averages over the elements of a channel:
    gx = gamma * inverse_deviation * (gy - average gy - h * average (gy h)). gx may be gy, or None.

    Raises:
        UsageError: for shapes that do not fit, or more channels than there is scratch for.
    """
    require_shapes("batch_norm_backward", x.shape, gx=gx, gy=gy)
    vectors = {"ggamma": ggamma, "gbeta": gbeta, "gamma": gamma, "mean": mean, "inverse_deviation": inverse_deviation}
    require_shapes("batch_norm_backward", x.shape[-1:], **vectors)
    columns = columns_of(device, 1, x, gy, *([] if gx is None else [gx]))
    scratch = _scratch(device, "batch_norm_backward", columns, _PRODUCT_KINDS, _BACKWARD_KINDS)
    # A channel each is a group each.
    _gather_products(device, scratch, gy, x, mean, columns.channels)
    device.launcher.launch(
        "batch_norm.cu",
        "batch_norm_gradient",
        reducing_grid(columns.channels),
        {
            "coefficients": scratch.coefficients,
            "sums": scratch.sums,
            **vectors,
            **columns.sizes(scratch.slices),
            "accumulate": accumulate_parameters,
        },
    )
    if gx is not None:
        _apply_gradient(device, gx, gy, x, scratch, accumulate)


def group_norm_forward(
    device: CudaDevice,
    y: Array,
    mean: Array,
    inverse_deviation: Array,
    x: Array,
    gamma: Array,
    beta: Array,
    groups: int,
    eps: float,
) -> None:
    """y = gamma (x - mean) / sqrt(variance + eps) + beta, the statistics over each group of each image.

    `mean` and `inverse_deviation` are (N, groups). x and y have the stored type, everything else is float32. y may be
    x.

    Raises:
        UsageError: for shapes that do not fit, or more channels than there is scratch for.
    """
    require_shapes("group_norm_forward", x.shape, y=y)
    require_shapes("group_norm_forward", x.shape[-1:], gamma=gamma, beta=beta)
    require_shapes("group_norm_forward", (x.shape[0], groups), mean=mean, inverse_deviation=inverse_deviation)
    for images in _runs_of_images("group_norm_forward", x, _MOMENT_KINDS + _COEFFICIENT_KINDS):
        columns = columns_of(device, images.stop - images.start, x[images], y[images])
        scratch = _scratch(device, "group_norm_forward", columns, _MOMENT_KINDS, _COEFFICIENT_KINDS)
        _gather_moments(device, scratch, x[images])
        device.launcher.launch(
            "group_norm.cu",
            "group_norm_statistics",
            _group_grid(columns, groups),
            {
                "coefficients": scratch.coefficients,
                "mean": mean[images],
                "inverse_deviation": inverse_deviation[images],
                "sums": scratch.sums,
                "gamma": gamma,
                "beta": beta,
                **columns.sizes(scratch.slices),
                "groups": groups,
                "eps": eps,
            },
        )
        _normalize(device, y[images], x[images], scratch.coefficients, columns, Activation("linear"))


def group_norm_backward(
    device: CudaDevice,
    gx: Array | None,
    ggamma: Array,
    gbeta: Array,
    gy: Array,
    x: Array,
    mean: Array,
    inverse_deviation: Array,
    gamma: Array,
    groups: int,
    accumulate: bool,
    accumulate_parameters: bool,
) -> None:
    """Gradients of x, gamma and beta through the statistics of each group.

    With h = (x - mean) * inverse_deviation and averages over the elements of a group:
    gx = (gamma gy - average (gamma gy) - h * average (gamma gy h)) * inverse_deviation. gx may be gy, or None.

    Raises:
        UsageError: for shapes that do not fit, or more channels than there is scratch for.
    """
    require_shapes("group_norm_backward", x.shape, gx=gx, gy=gy)
    require_shapes("group_norm_backward", x.shape[-1:], ggamma=ggamma, gbeta=gbeta, gamma=gamma)
    require_shapes("group_norm_backward", (x.shape[0], groups), mean=mean, inverse_deviation=inverse_deviation)
    for images in _runs_of_images("group_norm_backward", x, _PRODUCT_KINDS + _BACKWARD_KINDS):
        into = [] if gx is None else [gx[images]]
        columns = columns_of(device, images.stop - images.start, x[images], gy[images], *into)
        scratch = _scratch(device, "group_norm_backward", columns, _PRODUCT_KINDS, _BACKWARD_KINDS)
        sums = {"sums": scratch.sums, "inverse_deviation": inverse_deviation[images], "groups": groups}
        _gather_products(device, scratch, gy[images], x[images], mean[images], groups)
        device.launcher.launch(
            "group_norm.cu",
            "group_norm_parameters",
            reducing_grid(columns.channels),
            {
                **sums,
                "ggamma": ggamma,
                "gbeta": gbeta,
                "images": columns.images,
                "channels": columns.channels,
                "slices": scratch.slices,
                "accumulate": accumulate_parameters or images.start > 0,
            },
        )
        if gx is None:
            continue
        device.launcher.launch(
            "group_norm.cu",
            "group_norm_gradient",
            _group_grid(columns, groups),
            {
                **sums,
                "coefficients": scratch.coefficients,
                "mean": mean[images],
                "gamma": gamma,
                **columns.sizes(scratch.slices),
            },
        )
        _apply_gradient(device, gx[images], gy[images], x[images], scratch, accumulate)


@dataclass(frozen=True)
class _Scratch:
    """How the rows of an image are cut, and where sums and coefficients lie between the passes."""

    columns: Columns
    slices: int
    sums: Array
    coefficients: Array


def _scratch(device: CudaDevice, primitive: str, columns: Columns, sum_kinds: int, coefficient_kinds: int) -> _Scratch:
    numbers = columns.images * columns.channels
    _require_room(primitive, numbers, sum_kinds + coefficient_kinds)
    slices = columns.gathering_slices(most=(LARGEST_PARTIALS // numbers - coefficient_kinds) // sum_kinds)
    boundary = slices * sum_kinds * numbers
    partials = device.partials(boundary + coefficient_kinds * numbers)
    return _Scratch(columns, slices, partials[:boundary], partials[boundary:])


def _require_room(primitive: str, channels: int, kinds: int) -> None:
    most = LARGEST_PARTIALS // kinds
    if channels > most:
        raise UsageError(f"{primitive}: {channels} channels; CUDA normalises at most {most}: use the CPU")


def _runs_of_images(primitive: str, x: Array, kinds: int) -> Iterator[slice]:
    """The images of x, as many at a time as there is scratch for."""
    images, channels = x.shape[0], x.shape[-1]
    _require_room(primitive, channels, kinds)
    step = LARGEST_PARTIALS // (kinds * channels)
    return (slice(first, min(first + step, images)) for first in range(0, images, step))


def _group_grid(columns: Columns, groups: int) -> Grid:
    return Grid((columns.images * groups, 1, 1), (1, _GROUP_THREADS, 1))


def _gather_moments(device: CudaDevice, scratch: _Scratch, x: Array) -> None:
    columns, slices = scratch.columns, scratch.slices
    arguments = {"sums": scratch.sums, **pitched(x=x), **columns.sizes(slices)}
    device.launcher.launch("normalization.cu", "column_moments", columns.grid(slices), arguments, columns.choices)


def _normalize(
    device: CudaDevice, y: Array, x: Array, coefficients: Array, columns: Columns, activation: Activation
) -> None:
    slices = columns.streaming_slices
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


def _gather_products(device: CudaDevice, scratch: _Scratch, gy: Array, x: Array, mean: Array, groups: int) -> None:
    columns, slices = scratch.columns, scratch.slices
    arguments = {"sums": scratch.sums, **pitched(gy=gy, x=x), "mean": mean, **columns.sizes(slices), "groups": groups}
    device.launcher.launch("normalization.cu", "column_products", columns.grid(slices), arguments, columns.choices)


def _apply_gradient(device: CudaDevice, gx: Array, gy: Array, x: Array, scratch: _Scratch, accumulate: bool) -> None:
    columns = scratch.columns
    slices = columns.streaming_slices
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
