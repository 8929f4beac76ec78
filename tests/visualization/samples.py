"""A small network with weights that a test can set, one image, and finding pictures on a page."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpunn.backend.contract import Device
from gpunn.data.decoding.by_name import decoder
from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.network import Network
from gpunn.precision import precision
from gpunn.training.configuration import configure
from gpunn.training.learner import Learner
from gpunn.training.manifest import Manifest
from gpunn.training.trained_run import TrainedRun
from gpunn.visualization.run_view import SeenImage
from gpunn.visualization.sheet import Sheet

Array = np.ndarray[Any, Any]

#: Pixels reach the network as they are: 255 is 1.
MEAN, DEVIATION = 0.0, 1.0


def learner_of(network: Network, device: Device, number_type: str = "float64", seed: int = 0) -> Learner:
    """A learner whose weights are drawn from the seed, biases and statistics included."""
    H, W, C = network.image.shape
    preprocessing = Preprocessing(H, W, C, "stretch", max(H, W), (MEAN,) * C, (DEVIATION,) * C)
    learner = Learner(network, device, precision(number_type), preprocessing)
    draw = np.random.default_rng(seed)
    values = {name: draw.normal(0.0, 0.5, values.shape) for name, values in learner.state.parameters.export().items()}
    statistics = {name: draw.uniform(0.5, 1.5, old.shape) for name, old in learner.state.statistics.export().items()}
    set_weights(learner, {**values, **statistics})
    return learner


def set_weights(learner: Learner, values: Mapping[str, Array]) -> None:
    """Set some weights or statistics, and leave the others."""
    state = learner.state.export()
    unknown = set(values) - set(state)
    assert not unknown, unknown
    learner.state.load({name: np.asarray(values.get(name, old), old.dtype) for name, old in state.items()})


def batch_of(images: Array, labels: Array | None = None) -> Batch:
    """Images, (N, H, W, C), as the loader would give them."""
    count = len(images)
    given = np.zeros(count, np.int32) if labels is None else labels.astype(np.int32)
    return Batch(images, given, np.zeros((count, 3), np.int32), np.arange(count, dtype=np.int64))


def noise(network: Network, seed: int = 1) -> Array:
    """One image, (1, H, W, C)."""
    return np.random.default_rng(seed).integers(0, 256, (1, *network.image.shape), dtype=np.uint8)


def seen(learner: Learner, image: Array) -> SeenImage:
    """An image as `see` would return it."""
    batch = batch_of(image)
    return SeenImage(Path("some/image.png"), batch, learner.predict(batch)[0])


def run_of(learner: Learner, classes: tuple[str, ...] = ("ape", "bee", "cat")) -> TrainedRun:
    """A run of a learner that was never trained."""
    manifest = Manifest(
        network={},
        configuration={},
        classes=list(classes),
        preprocessing={},
        thread_plan={},
        progress={},
        data_fingerprint="",
    )
    return TrainedRun(learner, learner.preprocessing, classes, configure({}), manifest, decoder("pillow"))


def drawn_sheet(monkeypatch: pytest.MonkeyPatch, module: str, draw: Callable[[], object]) -> Sheet:
    """What a module of gpunn.visualization puts on its page, before it becomes pixels."""
    sheets: list[Sheet] = []

    def kept(sheet: Sheet) -> bytes:
        sheets.append(sheet)
        return b""

    monkeypatch.setattr(f"gpunn.visualization.{module}.png_of", kept)
    draw()
    (sheet,) = sheets
    return sheet


def pixels_of(png: bytes) -> Array:
    """A PNG file as (H, W, 3)."""
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def squares(colours: Array, side: int) -> Array:
    """Every colour of (R, S, 3) as a square."""
    drawn = np.zeros((side * colours.shape[0], side * colours.shape[1], 3), np.uint8)
    for row in range(drawn.shape[0]):
        for column in range(drawn.shape[1]):
            drawn[row, column] = colours[row // side, column // side]
    return drawn


def places(page: Array, picture: Array) -> list[tuple[int, int]]:
    """The upper left corners of every exact copy of a picture on a page."""
    height, width = picture.shape[:2]
    rows, columns = page.shape[0] - height + 1, page.shape[1] - width + 1
    begins = (page[:rows, :columns] == picture[0, 0]).all(axis=2)
    ends = (page[height - 1 :, width - 1 :] == picture[-1, -1]).all(axis=2)
    candidates = np.argwhere(begins & ends)
    return [(y, x) for y, x in candidates.tolist() if np.array_equal(page[y : y + height, x : x + width], picture)]
