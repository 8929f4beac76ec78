"""PyTorch's DataLoader over a folder of JPEG files, with the same Pillow calls as gpunn makes."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class PytorchPictures(Dataset):
    """Random resized crops, half of them mirrored: uint8 (H, W, C), or float32 (C, H, W) from 0 to 1.

    Args:
        paths: JPEG files.
        size: rows and columns of a crop.
        as_float: scale to 0 to 1 and put channels first, as torchvision's ToTensor does.
    """

    def __init__(self, paths: Sequence[Path], size: int, as_float: bool) -> None:
        self._paths = paths
        self._size = size
        self._as_float = as_float

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self._paths[index]) as image:
            box = random_box(image.width, image.height)
            picture = image.convert("RGB").resize((self._size, self._size), Image.Resampling.BILINEAR, box)
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(picture))
        return (pixels.permute(2, 0, 1).contiguous().float().div(255) if self._as_float else pixels), 0


def pytorch_loader(paths: Sequence[Path], size: int, batch: int, workers: int, as_float: bool) -> DataLoader[Any]:
    """A loader whose processes live on from epoch to epoch."""
    return DataLoader(
        PytorchPictures(paths, size, as_float),
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
    )


def random_box(width: int, height: int) -> tuple[int, int, int, int]:
    """8% to 100% of the area, between 3:4 and 4:3, as torchvision's RandomResizedCrop draws it."""
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1.0)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        columns, rows = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < columns <= width and 0 < rows <= height:
            left, top = random.randint(0, width - columns), random.randint(0, height - rows)
            return left, top, left + columns, top + rows
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
