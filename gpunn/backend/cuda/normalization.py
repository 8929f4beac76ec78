"""Batch norm and group norm on CUDA: a pass gathers sums, a small launch makes coefficients of them, a pass applies
these."""

from __future__ import annotations

from gpunn.backend.attributes import Activation, Normalization
from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid, striding_grid
from gpunn.backend.cuda.shared.columns import Columns, columns_of, reducing_grid, require_shapes
from gpunn.backend.cuda.shared.normalization_passes import (
    BACKWARD_KINDS,
    COEFFICIENT_KINDS,
    MOMENT_KINDS,
    PRODUCT_KINDS,
    apply_gradient,
    gather_moments,
    gather_products,
    normalize,
    require_room,
    runs_of_images,
    scratch_for,
)

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
    scratch = scratch_for(device, "batch_norm_forward", columns, MOMENT_KINDS, COEFFICIENT_KINDS)
    gather_moments(device, scratch, x)
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
    normalize(device, y, x, scratch.coefficients, columns, activation)


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
    require_room("batch_norm_inference", columns.channels, COEFFICIENT_KINDS)
    coefficients = device.partials(COEFFICIENT_KINDS * columns.channels)
    device.launcher.launch(
        "batch_norm.cu",
        "batch_norm_running",
        striding_grid(columns.channels),
        {"coefficients": coefficients, **parameters, "channels": columns.channels, "eps": settings.eps},
    )
    normalize(device, y, x, coefficients, columns, activation)


def fold_batch_norm(
    device: CudaDevice,
    filters: Array,
    offset: Array,
    w: Array,
    bias: Array | None,
    running_mean: Array,
    running_variance: Array,
    gamma: Array,
    beta: Array,
    settings: Normalization,
) -> None:
    """filters[..., k] = s[k] w[..., k]; offset[k] = s[k] (bias[k] - mean[k]) + beta[k]; s = gamma / deviation.

    `filters` has the stored type, everything else is float32.

    Raises:
        UsageError: for shapes that do not fit.
    """
    require_shapes("fold_batch_norm", w.shape, filters=filters)
    parameters = {"running_mean": running_mean, "running_variance": running_variance, "gamma": gamma, "beta": beta}
    require_shapes("fold_batch_norm", w.shape[-1:], offset=offset, bias=bias, **parameters)
    device.launcher.launch(
        "fold_batch_norm.cu",
        "fold_batch_norm",
        striding_grid(w.size),
        {
            "filters": filters,
            "offset": offset,
            "w": w,
            "bias": bias,
            **parameters,
            "taps": w.size // w.shape[-1],
            "count": w.shape[-1],
            "eps": settings.eps,
        },
    )


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
    scratch = scratch_for(device, "batch_norm_backward", columns, PRODUCT_KINDS, BACKWARD_KINDS)
    # A channel each is a group each.
    gather_products(device, scratch, gy, x, mean, columns.channels)
    device.launcher.launch(
        "batch_norm.cu",
        "batch_norm_gradient",
        reducing_grid(columns.channels),
        {
            "coefficients": scratch.coefficients,
            "sums": scratch.sums,
            **vectors,
            "rows": columns.rows,
            "channels": columns.channels,
            "slices": scratch.slices.count,
            "accumulate": accumulate_parameters,
        },
    )
    if gx is not None:
        apply_gradient(device, gx, gy, x, scratch, accumulate)


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
    for images in runs_of_images("group_norm_forward", x, MOMENT_KINDS + COEFFICIENT_KINDS):
        columns = columns_of(device, images.stop - images.start, x[images], y[images])
        scratch = scratch_for(device, "group_norm_forward", columns, MOMENT_KINDS, COEFFICIENT_KINDS)
        gather_moments(device, scratch, x[images])
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
        normalize(device, y[images], x[images], scratch.coefficients, columns, Activation("linear"))


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
    for images in runs_of_images("group_norm_backward", x, PRODUCT_KINDS + BACKWARD_KINDS):
        into = [] if gx is None else [gx[images]]
        columns = columns_of(device, images.stop - images.start, x[images], gy[images], *into)
        scratch = scratch_for(device, "group_norm_backward", columns, PRODUCT_KINDS, BACKWARD_KINDS)
        sums = {"sums": scratch.sums, "inverse_deviation": inverse_deviation[images], "groups": groups}
        gather_products(device, scratch, gy[images], x[images], mean[images], groups)
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
                "slices": scratch.slices.count,
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
                "rows": columns.rows,
                "channels": columns.channels,
                "slices": scratch.slices.count,
            },
        )
        apply_gradient(device, gx[images], gy[images], x[images], scratch, accumulate)


def _group_grid(columns: Columns, groups: int) -> Grid:
    return Grid((columns.images * groups, 1, 1), (1, _GROUP_THREADS, 1))
