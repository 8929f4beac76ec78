"""Which kernels were chosen by measuring: from the tuner's file in the cache, or from a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gpunn.backend.cuda.tune import PLAN_PREFIX
from gpunn.errors import UsageError
from gpunn.training.checkpoint_file import read_manifest

_CHECKPOINT = ".safetensors"


def read_choices(path: Path, architecture: str) -> Mapping[str, object]:
    """Names of kernels by what they were chosen for, as a device's plan has them.

    Raises:
        CheckpointError: when a checkpoint cannot be read.
        UsageError: when the file cannot be read, or has no choices for the architecture.
    """
    if path.suffix == _CHECKPOINT:
        found: object = read_manifest(path).thread_plan
    else:
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"--tuning {path} cannot be read as JSON ({error})") from None
    prefix = f"{PLAN_PREFIX}sm_{architecture}/"
    choices = {key: name for key, name in found.items() if key.startswith(prefix)} if isinstance(found, dict) else {}
    if not choices:
        raise UsageError(f"--tuning {path} has no kernels that were chosen on sm_{architecture}")
    return choices
