"""A training run from the command line: what it prints from the first line to the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpunn.cli.progress_bar import ProgressBar
from gpunn.errors import DeviceError, MemoryExhaustedError, UsageError
from gpunn.training.configuration import parse_assignments
from gpunn.training.experiment import new_run, resume_run, with_recipe
from gpunn.training.run_folder import read_toml
from gpunn.training.trainer import Trainer, TrainingInterrupted

#: Options whose name is not that of their setting.
_FLAGS = {"learning_rate": "--lr"}

#: Options that make sense beside --resume; all others are part of the run.
_BESIDE_RESUME = ("epochs", "device", "workers", "unreadable", "quarantine")


def start(
    options: Mapping[str, Any],
    *,
    config: Path | None,
    assignments: Sequence[str],
    out: Path | None,
    resume: Path | None,
    allow_changed_data: bool,
) -> None:
    """Begin or resume a run and train to its end.

    Raises:
        UsageError: when options contradict each other.
    """
    with ProgressBar() as bar:
        if resume is not None:
            _refuse_beside_resume(options, config, assignments, out)
            others = {name: value for name, value in options.items() if name != "device"}
            device = options.get("device")
            trainer = resume_run(resume, bar, device=device, changed_data=allow_changed_data, settings=others)
            _train(trainer, bar)
        else:
            if allow_changed_data:
                raise UsageError("--allow-changed-data belongs to --resume RUN")
            file = read_toml(config) if config is not None else {}
            configuration = with_recipe(file, options, parse_assignments(assignments))
            _begin(new_run(configuration, out, bar), bar)


def _refuse_beside_resume(
    options: Mapping[str, Any], config: Path | None, assignments: Sequence[str], out: Path | None
) -> None:
    others = [_FLAGS.get(name, f"--{name.replace('_', '-')}") for name in options if name not in _BESIDE_RESUME]
    others += ["--config"] * (config is not None) + ["--set"] * bool(assignments) + ["--out"] * (out is not None)
    if others:
        raise UsageError(f"--resume goes on with the run's own settings; leave out {', '.join(others)}")


def _begin(trainer: Trainer, bar: ProgressBar) -> None:
    """Train; a run whose first step the device cannot make leaves nothing behind."""
    try:
        _train(trainer, bar)
    except (DeviceError, MemoryExhaustedError, MemoryError):
        if trainer.run is not None and trainer.progress.step == 0:
            trainer.run.discard()
        raise


def _train(trainer: Trainer, bar: ProgressBar) -> None:
    path = trainer.run.path if trainer.run is not None else None
    had_ended = trainer.progress.finished
    bar.on_note(f"run: {path}")
    try:
        for _ in trainer.fit():
            pass
    except TrainingInterrupted:
        bar.on_note(f"a snapshot was written; go on with: gpunn train --resume {path}")
        raise
    best = trainer.best
    if best is not None:
        bar.on_note(f"best validation top-1: {best[1]:.2%} in epoch {best[0]}")
    if not had_ended:
        drawn = trainer.curves is not None and trainer.curves.trouble is None
        files = "metrics.csv and curves.png" if drawn else "metrics.csv; there is no curves.png"
        bar.on_note(f"written to {path}: the best and last checkpoint, {files}")
    if trainer.run is not None and trainer.run.quarantine.is_file():
        bar.on_note(
            f"images that could not be read are listed; --quarantine {trainer.run.quarantine} leaves them out of "
            "another run from its start"
        )
    bar.on_note(f"next: gpunn evaluate {path}  |  gpunn predict {path} IMAGE.png  |  gpunn train --help")
