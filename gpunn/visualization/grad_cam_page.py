"""A map of Grad-CAM over its image."""

from __future__ import annotations

import numpy as np

from gpunn.graph import describe_shape
from gpunn.training.trained_run import TrainedRun
from gpunn.visualization.colours import Pixels, heat_colours
from gpunn.visualization.grad_cam import GradCam, Values, grad_cam, upsampled
from gpunn.visualization.layers import feature_maps
from gpunn.visualization.page import Page, file_name
from gpunn.visualization.run_view import SeenImage, class_number, likely_classes
from gpunn.visualization.sheet import Band, Sheet, Tile, fitted, png_of

_SIDE = 320
#: How bright the image stays under the map, and how much of it the map hides where it is largest.
_DIMMED = 0.7
_OPAQUE = 0.8


def grad_cam_page(trained: TrainedRun, seen: SeenImage, wanted: str | None = None, layer: str | None = None) -> Page:
    """The image, its map, and both together.

    Args:
        trained: the run.
        seen: the image.
        wanted: a class by name or number; None takes the one that the network finds most likely.
        layer: whose feature maps; None takes the last convolution's.

    Raises:
        UsageError: when there is no such class or layer, or no convolution.
    """
    network = trained.learner.network
    node = feature_maps(network, layer)
    number = int(seen.probabilities.argmax()) if wanted is None else class_number(trained.classes, wanted)
    found = grad_cam(trained.learner, seen.batch, number, node)
    name = trained.classes[number]
    picture = fitted(seen.colours, _SIDE)
    heat = upsampled(found.shares, *picture.shape[:2])
    tiles = (
        Tile(picture, ("as the network sees it",)),
        Tile(_cells(found, picture), (f"the map, {describe_shape(found.map.shape)}: 0 to {found.map.max():.3g}",)),
        Tile(overlaid(picture, heat), ("both",)),
    )
    lines = (
        f"The network says {likely_classes(trained, seen)}.",
        f"Bright is what raises the score of {name!r} through the {node.shape[-1]} feature maps of {found.label}.",
    )
    if not found.map.any():
        lines = (lines[0], f"Nothing here raises the score of {name!r}: the map is zero everywhere.")
    sheet = Sheet(f"Grad-CAM of {name!r} in {seen.name}", lines, [Band("", tiles, len(tiles))])
    return Page(file_name("grad-cam", seen.path.stem, name, layer or ""), png_of(sheet))


def overlaid(picture: Pixels, heat: Values) -> Pixels:
    """The picture in dimmed grey, and over it the colours of the map, the more opaque the larger it is.

    Args:
        picture: (H, W, 3).
        heat: (H, W), 0 to 1.
    """
    grey = _DIMMED * picture.mean(axis=2, keepdims=True)
    opaque = _OPAQUE * heat[..., np.newaxis]
    mixed = (1 - opaque) * grey + opaque * heat_colours(heat)
    rounded: Pixels = np.rint(mixed).astype(np.uint8)
    return rounded


def _cells(found: GradCam, picture: Pixels) -> Pixels:
    """Every cell of the map where it lies over the picture."""
    height, width = picture.shape[:2]
    rows = np.arange(height) * found.map.shape[0] // height
    columns = np.arange(width) * found.map.shape[1] // width
    return heat_colours(found.shares[np.ix_(rows, columns)])
