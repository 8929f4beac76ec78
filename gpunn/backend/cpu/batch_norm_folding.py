"""Batch norm with running statistics as a part of the convolution before it."""

from __future__ import annotations

import numpy as np

from gpunn.backend.attributes import Normalization
from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice, quiet
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block


@quiet
def fold_batch_norm(
    device: CpuDevice,
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
    """filters[..., k] = s[k] w[..., k]; offset[k] = s[k] (bias[k] - mean[k]) + beta[k]; s = gamma / deviation."""
    scale = gamma / np.sqrt(running_variance.astype(np.float64) + settings.eps)
    shifted = -running_mean.astype(np.float64) if bias is None else bias - running_mean.astype(np.float64)
    np.copyto(offset, scale * shifted + beta, casting="same_kind")
    factors = scale.astype(w.dtype)
    taps, products = w.reshape(-1, w.shape[-1]), filters.reshape(-1, w.shape[-1])

    def work(index: Index) -> None:
        np.multiply(taps[index], factors, out=products[index])

    for_each_block(device, work, blocks(taps.shape[:1], taps.shape[1]), taps.size)
