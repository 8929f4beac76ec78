"""Flatten and concatenate, one element after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]


def flatten(x: Host) -> Host:
    """(N, H*W*C): element (h, w, c) goes to (h * W + w) * C + c."""
    N, H, W, C = x.shape
    y = np.zeros((N, H * W * C), x.dtype)
    for n, h, w, c in np.ndindex(x.shape):
        y[n, (h * W + w) * C + c] = x[n, h, w, c]
    return y


def concatenate(xs: Sequence[Host]) -> Host:
    """Channel c of the k-th array goes behind the channels of all before it."""
    y = np.zeros((*xs[0].shape[:-1], sum(x.shape[-1] for x in xs)), xs[0].dtype)
    channel = 0
    for x in xs:
        for c in range(x.shape[-1]):
            y[..., channel] = x[..., c]
            channel += 1
    return y
