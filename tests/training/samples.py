"""Small checkpoints whose every value follows from the epoch, so that a test knows what must come back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.training.manifest import Manifest

Array = np.ndarray[Any, np.dtype[Any]]


def tensors_of(epoch: int) -> dict[str, Array]:
    """Tensors of several ranks and number types, one of them empty, one of them not contiguous."""
    return {
        "conv1.weight": (np.arange(54, dtype=np.float32).reshape(3, 3, 2, 3) + epoch).transpose(3, 0, 1, 2),
        "conv1.bias": np.full(3, 0.1, np.float32) * epoch,
        "optimizer/momentum/conv1.bias": np.array([-0.0, 1e-45, epoch], np.float32),
        "bn1.running_mean": np.linspace(0, epoch, 4),
        "dropout/counter": np.array(2**63 + epoch, np.uint64),
        "labels": np.arange(epoch, epoch + 5, dtype=np.int32),
        "mask": np.array([True, False, True]),
        "nothing": np.zeros((0, 4), np.float32),
    }


def manifest_of(epoch: int) -> Manifest:
    """A manifest with every kind of value that one may hold."""
    return Manifest(
        network={"name": "lenet", "layers": [{"type": "Conv2d", "filters": 20, "padding": None}]},
        configuration={"lr": 0.1, "nested": {"flag": True}},
        classes=["zero", "naïve \U0001f600", 'quote"\n', "odd byte \udcff"],
        preprocessing={"size": [28, 28, 1], "mean": [0.1307]},
        thread_plan={"threads": 2},
        progress={"epoch": epoch, "step": 63 * epoch, "loss_sum": 0.1 + 0.2, "best": float("inf")},
        data_fingerprint="ab12",
    )


def assert_is_epoch(epoch: int, tensors: dict[str, Array], manifest: Manifest) -> None:
    """Every value, type and shape is that of this epoch."""
    expected = tensors_of(epoch)
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == expected[name].dtype
        assert tensor.shape == expected[name].shape
        assert tensor.tobytes() == expected[name].tobytes()
    assert manifest.model_copy(update={"tensors": {}}) == manifest_of(epoch)
