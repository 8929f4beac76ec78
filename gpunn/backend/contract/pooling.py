"""Maxima, means and medians of windows, and the mean of a whole image."""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.backend.contract.arrays import Array, DType, Memory
from gpunn.geometry import Pool2dGeometry


class PoolingPrimitives(Protocol):
    """Maxima, means and medians of windows, and the mean of an image."""

    def maximum_pool2d_forward(
        self, device: Any, y: Array, argmax: Array | None, x: Array, geometry: Pool2dGeometry
    ) -> None:
        """The largest of each window; `argmax` is its place in the window, r * S + s, the first one on a tie.

        `argmax` is uint8, or int32 for windows of more than 256; None when no backward pass follows.
        """

    def maximum_pool2d_backward(
        self, device: Any, gx: Array, gy: Array, argmax: Array, geometry: Pool2dGeometry, accumulate: bool
    ) -> None:
        """gy goes to the place that won."""

    def mean_pool2d_forward(self, device: Any, y: Array, x: Array, geometry: Pool2dGeometry) -> None:
        """The mean over the pixels of each window that lie in the image."""

    def mean_pool2d_backward(
        self, device: Any, gx: Array, gy: Array, geometry: Pool2dGeometry, accumulate: bool
    ) -> None:
        """gy, divided by that count, goes to each of those pixels."""

    def median_pool2d_forward(
        self, device: Any, y: Array, x: Array, geometry: Pool2dGeometry, workspace: Memory
    ) -> None:
        """The median over the pixels of each window that lie in the image; of an even number, the mean of two."""

    def median_pool2d_forward_workspace(self, device: Any, geometry: Pool2dGeometry, dtype: DType) -> int:
        """Bytes of scratch."""

    def median_pool2d_backward(
        self, device: Any, gx: Array, gy: Array, x: Array, geometry: Pool2dGeometry, accumulate: bool, workspace: Memory
    ) -> None:
        """gy goes to the median pixel, the first in order (r, s) on a tie; of an even number, half to each."""

    def median_pool2d_backward_workspace(self, device: Any, geometry: Pool2dGeometry, dtype: DType) -> int:
        """Bytes of scratch."""

    def global_mean_pool2d_forward(self, device: Any, y: Array, x: Array) -> None:
        """y (N, C) = the mean over all rows and columns."""

    def global_mean_pool2d_backward(self, device: Any, gx: Array, gy: Array, accumulate: bool) -> None:
        """gx = gy / (H W) everywhere."""
