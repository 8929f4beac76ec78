"""The batch that is taken when nobody says."""

from __future__ import annotations

import pytest

from gpunn.models import model
from gpunn.timing.batch_size import usual_batch


@pytest.mark.parametrize(
    ("name", "devices", "batch"),
    [
        # The recipe's, on a GPU: as fast as it is asked for.
        ("alexnet", ["cuda:0"], 256),
        # 4.3e9 operations an image: 16 are 6.9e10, and 32 too many.
        ("alexnet", ["cpu"], 16),
        ("alexnet", ["cuda", "cpu"], 16),
        # 9.3e10 an image: fewer than four are no batch.
        ("vgg16", ["cpu"], 4),
        # The recipe's: a second holds more.
        ("lenet", ["cpu"], 64),
        # 1.4e7 an image.
        ("lenet", ["emulator", "cpu"], 2),
    ],
)
def test_a_step_takes_about_a_second(name: str, devices: list[str], batch: int) -> None:
    chosen = model(name)
    assert usual_batch(chosen, chosen.build(chosen.image, chosen.classes), devices) == batch
