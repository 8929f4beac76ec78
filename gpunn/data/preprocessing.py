"""How a picture of any size becomes the input of a network; part of a trained network, and kept in its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from gpunn.errors import CheckpointError, DataError, UsageError

Box: TypeAlias = tuple[float, float, float, float]
"""A region of a picture in pixels, edges that may lie between pixels: left, top, right, bottom."""


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
        return self.render(picture, self.evaluation_box(picture.shape[0], picture.shape[1]))

    def evaluation_box(self, height: int, width: int) -> Box:
        """The region of a picture of height x width that `apply` shows."""
        if self.resize == "stretch":
            return 0.0, 0.0, float(width), float(height)
        scale = min(height, width) / self.resize_to
        left = (width - self.width * scale) / 2
        top = (height - self.height * scale) / 2
        return left, top, left + self.width * scale, top + self.height * scale

    def render(self, picture: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
        """The region `box` of a picture, scaled to (height, width, channels) by antialiased bilinear interpolation."""
        height, width, channels = picture.shape
        if channels == 3 and self.channels == 1:
            picture = luma(picture)
        if (height, width) != (self.height, self.width) or box != (0.0, 0.0, width, height):
            flat = picture[..., 0] if picture.shape[2] == 1 else picture
            # Rounding may leave an edge a hair outside the picture, which Pillow refuses.
            inside = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height))
            scaled = Image.fromarray(flat).resize((self.width, self.height), Image.Resampling.BILINEAR, inside)
            picture = np.asarray(scaled).reshape(self.height, self.width, -1)
        if picture.shape[2] < self.channels:
            picture = np.repeat(picture, self.channels, axis=2)
        return picture


def check_picture(picture: npt.NDArray[Any]) -> None:
    """Raises DataError unless the array is a picture: uint8, (H, W, C) with C = 1 or 3, none of them 0."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3) or 0 in picture.shape:
        raise DataError(
            f"a picture must be uint8 of shape (H, W, 1) or (H, W, 3), got {picture.dtype} of shape {picture.shape}"
        )


def luma(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """RGB to gray, (H, W, 3) to (H, W, 1), by the weights of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B."""
    return np.asarray(Image.fromarray(picture).convert("L"))[..., np.newaxis]
