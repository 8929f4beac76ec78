"""Pictures made inputs, and plain copies."""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.backend.contract.arrays import Array


class ImagePrimitives(Protocol):
    """Pictures made inputs, and plain copies."""

    def normalize_images(
        self, device: Any, y: Array, images: Array, placement: Array, mean: Array, deviation: Array
    ) -> None:
        """y[n, h, w, c] = (pixel / 255 - mean[c]) / deviation[c], the pixel cropped and mirrored.

        `images` is uint8 (N, H0, W0, C); `placement` is int32 (N, 3): the top and left corner of the crop, and 1
        to mirror it left to right. Pixels outside the picture count as 0.
        """

    def copy(self, device: Any, y: Array, x: Array, accumulate: bool) -> None:
        """y = x, or y += x; the number types may differ."""

    def fill(self, device: Any, y: Array, value: float) -> None:
        """y = value."""

    def scale(self, device: Any, y: Array, x: Array, factor: float, accumulate: bool) -> None:
        """y = factor * x, or y += factor * x."""
