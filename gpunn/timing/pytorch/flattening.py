"""In which order a vector holds the numbers of the image it was made from: gpunn's is h, w, c, PyTorch's is c, h, w."""

from __future__ import annotations

from gpunn.errors import UsageError
from gpunn.graph import Node
from gpunn.layers.activation import Elementwise, Identity
from gpunn.layers.dropout import Dropout
from gpunn.layers.merge import Add, Flatten


def flattened_image(node: Node) -> tuple[int, int, int] | None:
    """Rows, columns and channels of the image that a node gives as a vector; None where a vector was none before.

    Raises:
        UsageError: when a layer that merges has a flattened image among inputs of other kinds.
    """
    if len(node.shape) != 1 or not node.inputs:
        return None
    if isinstance(node.layer, Flatten) and len(node.inputs[0].shape) == 3:
        H, W, C = node.inputs[0].shape
        return H, W, C
    if isinstance(node.layer, Dropout | Elementwise | Identity | Flatten):
        return flattened_image(node.inputs[0])
    if len(node.inputs) == 1:
        return None
    images = {flattened_image(source) for source in node.inputs}
    if len(images) > 1 or (images != {None} and not isinstance(node.layer, Add)):
        raise UsageError(
            f"layer '{node.name}' merges flattened images, which PyTorch has in another order; compare another network"
        )
    return images.pop()
