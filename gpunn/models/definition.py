"""What the list of models knows about one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpunn.geometry import Shape
from gpunn.models.recipe import Recipe
from gpunn.network import Network


@dataclass(frozen=True)
class Model:
    """A network by name.

    Attributes:
        name: what the command line calls it.
        image: the (H, W, C) it was designed for.
        classes: the number of classes it was designed for.
        flexible: whether it takes images of any size and any number of channels.
        build: the network for images of a shape and a number of classes; a ShapeError says what does not fit.
        recipe: how it is trained.
        description: one line for lists.
    """

    name: str
    image: Shape
    classes: int
    flexible: bool
    build: Callable[[Shape, int], Network]
    recipe: Recipe
    description: str
