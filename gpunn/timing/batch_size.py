"""How many images a step is timed with when nobody says."""

from __future__ import annotations

from collections.abc import Iterable

from gpunn.models.definition import Model
from gpunn.network import Network

#: Operations of a training step that take a device that is not a GPU less than a second, and the fewest images that
#: still say something of a batch.
_STEPS = {"cpu": (1e11, 4), "emulator": (5e7, 1)}
#: A training step computes about so many forward passes.
_PASSES = 3


def usual_batch(model: Model, network: Network, devices: Iterable[str]) -> int:
    """The recipe's, or the largest power of two that lets every device finish a step in less than a second.

    Args:
        model: gives the recipe.
        network: what is computed.
        devices: all that take part, by name: they get the same batch.
    """
    batch = model.recipe.batch_size
    for device in devices:
        kind = device.partition(":")[0]
        if kind in _STEPS:
            operations, fewest = _STEPS[kind]
            fitting = int(operations / max(1, _PASSES * network.flops))
            if fitting < batch:
                batch = min(batch, max(fewest, 1 << max(fitting, 1).bit_length() - 1))
    return batch
