"""What a trainer leaves in its run folder, so that the run can go on from there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from gpunn.data.dataset import Split
from gpunn.errors import UsageError
from gpunn.training.checkpoint_folder import CheckpointFolder
from gpunn.training.learner import Learner
from gpunn.training.manifest import Manifest
from gpunn.training.progress import Progress
from gpunn.training.resumption import fingerprint
from gpunn.training.run_folder import RunFolder


class Snapshots:
    """Saves the checkpoints of one run.

    Args:
        run: the folder.
        learner: what is trained.
        split: the data it is trained on.
        description: the parts of the manifest that name network and configuration.

    Attributes:
        folder: of the checkpoints.
        fingerprint: what the data are recognised by.
    """

    def __init__(
        self, run: RunFolder, learner: Learner, split: Split, description: Mapping[str, dict[str, Any]]
    ) -> None:
        self.folder = CheckpointFolder(run.checkpoints)
        self.fingerprint = fingerprint(split)
        self._run = run
        self._learner = learner
        self._classes = list(split.train.classes)
        self._description = description
        self._saved_at = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last one was saved; since the run was set up, where none was."""
        return time.monotonic() - self._saved_at

    def claim(self) -> None:
        """Make the folder of a run that begins.

        Raises:
            UsageError: when it holds another run, which must not be written over.
        """
        if self.folder.last.exists() or self.folder.previous.exists():
            raise UsageError(
                f"'{self._run.path}' holds a run already; call resume() to go on with it, or give a new folder"
            )
        self._run.path.mkdir(parents=True, exist_ok=True)

    def save(self, state: Mapping[str, np.ndarray[Any, Any]], progress: Progress, *, is_best: bool) -> None:
        """Save the learner's state, exported, and where the run stands.

        Raises:
            CheckpointError: when the disk refuses; the checkpoints that were there can still be loaded.
        """
        manifest = Manifest(
            network=self._description["network"],
            configuration=self._description["configuration"],
            classes=self._classes,
            preprocessing=self._learner.preprocessing.to_manifest(),
            thread_plan=dict(self._learner.device.thread_plan()),
            progress=progress.to_manifest(),
            data_fingerprint=self.fingerprint,
        )
        self.folder.save(state, manifest, is_best=is_best)
        self._saved_at = time.monotonic()
