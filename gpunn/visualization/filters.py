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

#: Filters on a page, and channels of each where they are drawn one by one, unless more are wanted.
FILTERS = 100
CHANNELS = 16
_SIDE = 64
_COLUMNS = 12


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
    channels take a row each, with a picture for every channel.

    Args:
        bank: the filters.
        network: its name.
        count: how many filters at most; None takes FILTERS, or CHANNELS where every channel has a picture.
    """
    K, R, S, C = bank.weights.shape
    if bank.of_image:
        shown = bank.weights[: count or FILTERS]
        tiles = [Tile(_picture(one), (_caption(number, one),)) for number, one in enumerate(shown)]
        bands = [Band("", tiles, _COLUMNS)]
        meaning = "grey is 0" if C == 3 else "white is 0, red is positive, blue negative"
    else:
        shown = bank.weights[: count or CHANNELS]
        bands = [Band(_caption(number, one), _channels(one), CHANNELS) for number, one in enumerate(shown)]
        of = f"the first {CHANNELS} of {C} channels" if C > CHANNELS else f"{C} channels"
        meaning = f"a row is a filter, its pictures are {of}; white is 0, red is positive, blue negative"
    some = f"the first {len(shown)} of {K} filters" if len(shown) < K else f"{K} filters"
    lines = (f"Every filter on its own scale: {meaning}; below it, its number and largest weight.",)
    if not bank.of_image:
        lines = (f"Every filter on its own scale, its number and largest weight above it: {meaning}.",)
    title = f"{network}, {bank.label}: {some} of {R}x{S}x{C}"
    return Page(file_name("filters", bank.label), png_of(Sheet(title, lines, bands)))


def _caption(number: int, one: np.ndarray[Any, Any]) -> str:
    return f"{number}: {float(np.abs(one).max()):#.2g}"


def _picture(one: np.ndarray[Any, Any]) -> Pixels:
    colours = (
        colours_around_grey(one, limit_of(one)) if one.shape[-1] == 3 else signed_colours(one[..., 0], limit_of(one))
    )
    return enlarged(colours, _SIDE)


def _channels(one: np.ndarray[Any, Any]) -> list[Tile]:
    coloured = signed_colours(one[..., :CHANNELS], limit_of(one))
    return [Tile(enlarged(coloured[:, :, channel], _SIDE // 2)) for channel in range(coloured.shape[2])]
