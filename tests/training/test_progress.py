"""The place of a run, to JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpunn.errors import CheckpointError
from gpunn.training.progress import Progress


def test_it_comes_back_from_json() -> None:
    progress = Progress(
        2, 5, 17, [[1.5, 2, 3, 4], [0.1, 0, 0, 4]], 1.25, 0.5, {"best": 0.5}, True, 0.25, [1.0, 0.75], 99, 3
    )
    assert Progress.from_manifest(json.loads(json.dumps(progress.to_manifest()))) == progress


def test_a_checkpoint_of_a_version_that_measured_less_is_resumed() -> None:
    values = Progress(2, 5, 17, [[1.5, 2, 3, 4]], 1.25, 0.5).to_manifest()
    for name in ("copied", "decoding", "images_read", "skipped"):
        del values[name]
    assert Progress.from_manifest(values) == Progress(2, 5, 17, [[1.5, 2, 3, 4]], 1.25, 0.5)
    del values["waited"]
    with pytest.raises(CheckpointError, match="not that of a training run"):
        Progress.from_manifest(values)


@pytest.mark.parametrize(
    "change", [{"totals": [0.0, 0.0, 0.0, 0.0]}, {"totals": [[1.0]]}, {"totals": None}, {"epochs": 3}]
)
def test_the_progress_of_something_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="not that of a training run"):
        Progress.from_manifest({**Progress().to_manifest(), **change})
