"""Images for measurements: parts of photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from gpunn.geometry import Shape

Array = np.ndarray[Any, Any]

#: scikit-learn's, and what normalises them.
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
MEAN, DEVIATION = 0.45, 0.23


def photographs(batch: int, shape: Shape) -> Array:
    """Parts of scikit-learn's two photographs, of any size and place, half of them mirrored, normalised."""
    from sklearn.datasets import load_sample_image

    H, W, C = shape
    photos = [Image.fromarray(load_sample_image(name)).convert("RGB" if C == 3 else "L") for name in PHOTOGRAPHS]
    draw = np.random.default_rng(0)
    images = np.empty((batch, H, W, C), np.float32)
    for place in range(batch):
        photo = photos[place % len(photos)]
        side = draw.uniform(0.4, 1.0) * min(photo.size)
        left, top = (draw.uniform(0, extent - side) for extent in photo.size)
        pixels = np.asarray(photo.resize((W, H), box=(left, top, left + side, top + side)), np.float32).reshape(H, W, C)
        images[place] = (pixels / 255 - MEAN) / DEVIATION
        if draw.random() < 0.5:
            images[place] = images[place, :, ::-1].copy()
    return images
