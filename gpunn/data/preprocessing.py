"""How a picture of any size becomes the input of a network; part of a trained network, and kept in its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gpunn.data.decoding.picture import Box, check_picture, whole
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.errors import CheckpointError, UsageError


@dataclass(frozen=True)
class Preprocessing:
    """The size, channels and normalisation that a network expects.

    Pixels stay uint8 here; whoever computes the network's input subtracts `mean` and divides by `std` on the scale
    where 255 is 1.

    Attributes:
        height, width, channels: the network's input; channels is 1 or 3.
        resize: "stretch" brings the whole picture to height x width; "crop" scales its shorter side to `resize_to`
            and takes height x width from the centre.
        resize_to: at least height and width; only "crop" uses it.
        mean, std: one number a channel.

    Raises:
        UsageError: the values do not fit together.
    """

    height: int
    width: int
    channels: int
    resize: Literal["stretch", "crop"]
    resize_to: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.channels not in (1, 3):
            raise UsageError(
                f"preprocessing to {self.height}x{self.width}x{self.channels}: "
                "sizes must be positive and channels 1 or 3"
            )
        if self.resize not in ("stretch", "crop"):
            raise UsageError(f"resize must be 'stretch' or 'crop', got {self.resize!r}")
        if self.resize == "crop" and self.resize_to < max(self.height, self.width):
            raise UsageError(f"a crop of {self.height}x{self.width} does not fit a short side of {self.resize_to}")
        if (
            len(self.mean) != self.channels
            or len(self.std) != self.channels
            or not all(deviation > 0.0 for deviation in self.std)
        ):
            raise UsageError(
                f"{self.channels} channels need as many means and positive deviations, got {self.mean} and {self.std}"
            )

    def to_manifest(self) -> dict[str, Any]:
        """The attributes as JSON can hold them."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_manifest`.

        Raises:
            CheckpointError: an entry is missing or cannot be used.
        """
        try:
            return cls(
                height=int(manifest["height"]),
                width=int(manifest["width"]),
                channels=int(manifest["channels"]),
                resize=manifest["resize"],
                resize_to=int(manifest["resize_to"]),
                mean=tuple(float(value) for value in manifest["mean"]),
                std=tuple(float(value) for value in manifest["std"]),
            )
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise CheckpointError(f"the manifest's preprocessing cannot be used: {error!r}") from error

    def apply(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The picture as the network sees it when it is evaluated.

        Args:
            picture: uint8, (H, W, C) with C = 1 or 3.

        Returns:
            uint8, (height, width, channels); `picture` itself where nothing has to be done.

        Raises:
            DataError: the array is not a picture.
        """
        check_picture(picture)
        size = (picture.shape[0], picture.shape[1])
        box = self.evaluation_box(*size)
        if picture.shape == (self.height, self.width, self.channels) and box == whole(size):
            return picture
        out = np.empty((self.height, self.width, self.channels), np.uint8)
        PillowDecoder().picture(picture).draw(out, box)
        return out

    def evaluation_box(self, height: int, width: int) -> Box:
        """The region of a picture of height x width that `apply` shows.

        It lies on whole pixels where nothing is scaled, so that the pixels stay as they are.
        """
        if self.resize == "stretch":
            return 0.0, 0.0, float(width), float(height)
        scale = min(height, width) / self.resize_to
        left = (width - self.width * scale) / 2
        top = (height - self.height * scale) / 2
        if scale == 1.0:
            left, top = math.floor(left), math.floor(top)
        return left, top, left + self.width * scale, top + self.height * scale
