"""A network that cannot learn eight photographs by heart cannot learn anything: AlexNet, whole, at 224x224."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_sample_image

from gpunn.backend.contract import Device
from gpunn.data import Batch, Preprocessing
from gpunn.models import model
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.training import Learner, Rule

SIZE = 224
STEPS = 60


def eight_photographs() -> np.ndarray:
    """Four corners each of a photograph of a temple and of a flower, which look alike in pairs."""
    photographs = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    corners = [(slice(None, SIZE), slice(-SIZE, None)) for _ in photographs]
    return np.stack(
        [
            photo[rows, columns]
            for photo, ends in zip(photographs, corners, strict=True)
            for rows in ends
            for columns in ends
        ]
    )


def test_alexnet_learns_eight_photographs_by_heart(cpu: Device) -> None:
    chosen = model("alexnet")
    learner = Learner(
        chosen.build(chosen.image, chosen.classes),
        cpu,
        precision("float32"),
        Preprocessing(SIZE, SIZE, 3, "stretch", SIZE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        Rule(Sgd(weight_decay=5e-4, momentum=0.9)),
    )
    labels = np.arange(0, 1000, 125, dtype=np.int32)
    batch = Batch(eight_photographs(), labels, np.zeros((8, 3), np.int32), np.arange(8))
    for step in range(STEPS):
        learner.learn(batch, first=0, images=8)
        learner.update(1e-3)
        if step % 5 == 4 and learner.evaluate([batch]).top1_rate == 1.0:
            return
    raise AssertionError(f"after {STEPS} steps: {learner.evaluate([batch])}")
