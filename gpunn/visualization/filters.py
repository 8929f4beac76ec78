"""The weights of a layer as pictures: what each of its filters looks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.graph import Node
from gpunn.layers import Linear
from gpunn.training.learner import Learner
from gpunn.visualization.colours import Pixels, colours_around_grey, limit_of, signed_colours
from gpunn.visualization.layers import filters_of, sees_image
from gpunn.visualization.page import Page, file_name
from gpunn.visualization.sheet import Band, Sheet, Tile, enlarged, png_of

#: Filters on a page, unless more are wanted, and channels of each where they are drawn side by side.
FILTERS = 100
CHANNELS = 16
_SIDE = 64
_WIDTH = 1180
_GAP = 10
_RULE = 3


@dataclass(frozen=True)
class FilterBank:
    """The filters of one layer.

    Attributes:
        label: of the layer.
        weights: (K, R, S, C), K filters of R rows, S columns and C channels; those of a linear layer that sees the
            image are as large as the image.
        of_image: whether the channels are those of the image.
    """

    label: str
    weights: np.ndarray[Any, Any]
    of_image: bool

    @property
    def in_colour(self) -> bool:
        """Whether the three channels are red, green and blue."""
        return self.of_image and self.weights.shape[-1] == 3


def filter_bank(learner: Learner, name: str | None = None) -> FilterBank:
    """The filters of a layer.

    Args:
        learner: the network with its weights.
        name: of the layer; None takes the first convolution, or the first linear layer of a network without one.

    Raises:
        UsageError: when there is no such layer, or its weights make no pictures.
    """
    network = learner.network
    node = filters_of(network, name)
    weights = learner.device.download(learner.state.parameters.part(f"{node.layer.name}.weight"))
    return FilterBank(network.labels[node], _as_filters(node, weights, network.image.shape), sees_image(network, node))


def _as_filters(node: Node, weights: np.ndarray[Any, Any], image: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if isinstance(node.layer, Linear):
        return weights.T.reshape(-1, *image)
    return np.moveaxis(weights, -1, 0)


def filter_page(bank: FilterBank, network: str, count: int | None = None) -> Page:
    """The filters on one page, every one on a scale of its own that ends at its largest weight and has 0 in its middle.

    Filters of the image are one picture each: in colour where the image has colours, else red and blue. Those of other
    channels are a strip each, with a picture for every channel.

    Args:
        bank: the filters.
        network: its name.
        count: how many filters at most; None takes FILTERS.
    """
    K, R, S, C = bank.weights.shape
    shown = bank.weights[: count or FILTERS]
    tiles = [Tile(_coloured(bank, one), (f"{number}: {limit_of(one):#.2g}",)) for number, one in enumerate(shown)]
    columns = max(1, (_WIDTH + _GAP) // (tiles[0].pixels.shape[1] + _GAP))
    some = f"the first {len(shown)} of {K} filters" if len(shown) < K else f"{K} filters"
    meaning = "grey is 0" if bank.in_colour else "white is 0, red is positive, blue negative"
    lines = [f"Every filter on its own scale: {meaning}; below it, its number and largest weight."]
    if not bank.of_image:
        lines.append(f"From left to right {f'the first {CHANNELS} of ' if C > CHANNELS else ''}its {C} channels.")
    title = f"{network}, {bank.label}: {some} of {R}x{S}x{C}"
    return Page(file_name("filters", bank.label), png_of(Sheet(title, tuple(lines), [Band("", tiles, columns)])))


def _coloured(bank: FilterBank, one: np.ndarray[Any, Any]) -> Pixels:
    limit = limit_of(one)
    if bank.in_colour:
        return enlarged(colours_around_grey(one, limit), _SIDE)
    if bank.of_image:
        return enlarged(signed_colours(one[..., 0], limit), _SIDE)
    channels = signed_colours(np.moveaxis(one[..., :CHANNELS], -1, 0), limit)
    return np.concatenate([_before_a_gap(enlarged(channel, _SIDE // 2)) for channel in channels], axis=1)[:, :-_RULE]


def _before_a_gap(pixels: Pixels) -> Pixels:
    return np.pad(pixels, ((0, 0), (0, _RULE), (0, 0)), constant_values=255)
