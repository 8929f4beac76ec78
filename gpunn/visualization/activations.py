"""What every layer makes of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.graph import describe_shape
from gpunn.training.learner import Learner
from gpunn.training.trained_run import TrainedRun
from gpunn.visualization.colours import Pixels, limit_of, rising_colours, signed_colours
from gpunn.visualization.layers import named_node, stages
from gpunn.visualization.page import Page, file_name
from gpunn.visualization.run_view import SeenImage, likely_classes
from gpunn.visualization.sheet import Band, Sheet, Tile, enlarged, fitted, png_of

#: Channels of a layer on a page of all layers, and on a page of its own, unless more are wanted.
CHANNELS = 12
CHANNELS_OF_ONE = 144
_SIDE = 96
_STRIP = 12 * 106 - 10
_STRIP_NUMBERS = 512
_SILENT = 225
_NAMED_SCORES = 24


@dataclass(frozen=True)
class LayerOutput:
    """What a stage of the network computed.

    Attributes:
        label: names of its layers.
        values: (P, Q, K) feature maps, or (K,).
        gives_scores: whether its numbers are those of the classes.
    """

    label: str
    values: np.ndarray[Any, Any]
    gives_scores: bool

    @property
    def silent(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(K,): the channels that are zero everywhere, so that nothing after them hears of the image through them."""
        silent: np.ndarray[Any, np.dtype[np.bool_]] = np.all(self.values == 0, axis=tuple(range(self.values.ndim - 1)))
        return silent


def layer_outputs(learner: Learner, seen: SeenImage, name: str | None = None) -> list[LayerOutput]:
    """The output of every stage for an image, or that of one layer.

    Args:
        learner: the network.
        seen: the image.
        name: of a layer; None takes every stage, a convolution with its normalisation and activation being one.

    Raises:
        UsageError: when there is no such layer.
    """
    network = learner.network
    wanted = (
        [(stage.shown, stage.label) for stage in stages(network)]
        if name is None
        else [(named_node(network, name), name)]
    )
    computed = dict(learner.inspect(seen.batch))
    return [
        LayerOutput(label, computed[network.labels[node]][0].astype(np.float64), node is network.outputs[0])
        for node, label in wanted
    ]


def activation_page(trained: TrainedRun, seen: SeenImage, name: str | None = None, count: int | None = None) -> Page:
    """The feature maps of every layer for one image, or those of one layer, on one page.

    All channels of a layer share a scale. Vectors are strips of colours, read row by row.

    Args:
        trained: the run.
        seen: the image.
        name: of a layer; None takes all.
        count: how many channels of a layer at most; None takes CHANNELS, or CHANNELS_OF_ONE where it is the only one.

    Raises:
        UsageError: when there is no such layer.
    """
    outputs = layer_outputs(trained.learner, seen, name)
    channels = count or (CHANNELS if name is None else CHANNELS_OF_ONE)
    image = Band("the image, as the network sees it", [Tile(enlarged(seen.colours, 2 * _SIDE))], 1)
    title = f"{trained.learner.network.name}: what {'every layer' if name is None else name} makes of {seen.name}"
    lines = (
        f"The network says {likely_classes(trained, seen)}.",
        "All channels of a layer share one scale, whose ends are given; where there are negative numbers, white is 0.",
        "A crossed channel is silent: zero everywhere.",
    )
    bands = [_band(output, channels, trained.classes) for output in outputs]
    sheet = Sheet(title, lines, (image, *bands))
    return Page(file_name("activations", seen.path.stem, name or ""), png_of(sheet))


def _band(output: LayerOutput, count: int, classes: tuple[str, ...]) -> Band:
    values = output.values
    low, high = float(values.min()), float(values.max())
    scale = f"from {low:.3g} to {high:.3g}"
    channels = values.shape[-1]
    heading = f"{output.label}: {describe_shape(values.shape)}"
    if output.gives_scores and channels <= _NAMED_SCORES:
        return Band(f"{heading}, {scale}", _named(values, classes), CHANNELS)
    if values.size == channels:
        return Band(f"{heading}, {scale}", [_strip(values.reshape(-1))], 1)
    silent = output.silent
    some = f", the first {count} of {channels} channels" if count < channels else ""
    quiet = f", {int(silent.sum())} of {channels} silent" if silent.any() else ""
    coloured = _coloured(values)
    tiles = [
        Tile(_crossed(coloured[:, :, channel]), crossed=True)
        if silent[channel]
        else Tile(fitted(coloured[:, :, channel], _SIDE))
        for channel in range(min(count, channels))
    ]
    return Band(f"{heading}{some}{quiet}, {scale}", tiles, CHANNELS)


def _named(scores: np.ndarray[Any, Any], classes: tuple[str, ...]) -> list[Tile]:
    """A score is a colour above the name of its class."""
    coloured = np.broadcast_to(_coloured(scores)[:, np.newaxis, np.newaxis], (len(scores), _SIDE // 2, _SIDE, 3))
    return [Tile(coloured[k], (classes[k], f"{scores[k]:.3g}")) for k in range(len(scores))]


def _crossed(pixels: Pixels) -> Pixels:
    return np.full_like(fitted(pixels, _SIDE), _SILENT)


def _strip(values: np.ndarray[Any, Any]) -> Tile:
    """A vector in rows of at most _STRIP_NUMBERS numbers; what the last row lacks is white."""
    columns = min(len(values), _STRIP_NUMBERS)
    rows = -(-len(values) // columns)
    pixels = np.full((rows * columns, 3), 255, np.uint8)
    pixels[: len(values)] = _coloured(values)
    wide, tall = max(1, _STRIP // columns), max(8, 40 // rows)
    return Tile(np.repeat(np.repeat(pixels.reshape(rows, columns, 3), wide, axis=1), tall, axis=0))


def _coloured(values: np.ndarray[Any, Any]) -> Pixels:
    low, high = float(values.min()), float(values.max())
    return signed_colours(values, limit_of(values)) if low < 0 else rising_colours(values, low, high)
