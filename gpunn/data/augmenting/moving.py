"""Shift, rotation, shear and scaling of pictures, as far as an augmentation draws them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.draws import Draw, Draws, between, either_way
from gpunn.data.augmenting.warp import affine_matrices, warp


def move(augmentation: Augmentation, images: npt.NDArray[np.uint8], draws: Draws) -> None:
    """Shifts, rotates, slants and scales pictures of one size, (N, H, W, C), in place."""
    _, height, width, _ = images.shape
    shift = either_way(augmentation.shift, draws[:, [Draw.RIGHT, Draw.DOWN]]) * (width, height)
    degrees = either_way(augmentation.rotation, draws[:, Draw.ROTATION])
    scale = between(augmentation.scale, draws[:, Draw.SCALE])
    shear = either_way(augmentation.shear, draws[:, Draw.SHEAR])
    warp(images, affine_matrices(shift, degrees, scale, shear, (height, width)), augmentation.background)


def mirror(images: npt.NDArray[np.uint8], which: npt.NDArray[np.bool_]) -> None:
    """Exchanges left and right of these pictures, in place; `images` is contiguous."""
    # Pixels as one item each are moved several times faster than channel by channel.
    pixels = images.view(np.dtype((np.void, images.shape[3])))[..., 0]
    pixels[which] = pixels[which][:, :, ::-1]
