"""More epochs for a run than it was begun with."""

from __future__ import annotations

import shlex
from pathlib import Path

from gpunn.data.names import printable
from gpunn.errors import UsageError
from gpunn.schedules import Schedule, parse_schedule
from gpunn.training.configuration import Configuration
from gpunn.training.progress import Progress
from gpunn.training.run_folder import RunFolder


def schedule_of(configuration: Configuration) -> Schedule:
    """The learning rate of every step of a run."""
    return parse_schedule(configuration.schedule, configuration.learning_rate, configuration.epochs)


def is_extension(longer: Configuration, begun: Configuration) -> bool:
    """Whether a run of more epochs would have passed through the same steps as the one that was begun."""
    return longer.epochs > begun.epochs and schedule_of(longer) == schedule_of(begun)


def require_extension(longer: Configuration, begun: Configuration, run: RunFolder) -> None:
    """Compare the epochs that are wanted with those that a run was begun with.

    Raises:
        UsageError: when they are fewer, or the learning rate of epochs that are over depends on how many there are.
    """
    instead = _new_run(run, str(longer.epochs))
    if longer.epochs < begun.epochs:
        raise UsageError(
            f"the run was begun with {begun.epochs} epochs, and --epochs {longer.epochs} is less; {instead}"
        )
    if longer.epochs > begun.epochs and not is_extension(longer, begun):
        raise UsageError(
            f"--epochs {longer.epochs} would change the learning rate of epochs that are over: the schedule "
            f"{begun.schedule!r} spans the {begun.epochs} epochs that the run was begun with; {instead}"
        )


def require_patience(longer: Configuration, progress: Progress, run: RunFolder) -> None:
    """See that it was not its patience that ended a run.

    Raises:
        UsageError: when it was.
    """
    if progress.finished and progress.epoch < longer.epochs:
        raise UsageError(
            f"--epochs {longer.epochs} adds nothing: the patience of the run was used up after epoch {progress.epoch}; "
            f"{_new_run(run, str(longer.epochs))} --patience N"
        )


def how_to_extend(ended: Configuration, progress: Progress, run: RunFolder) -> str:
    """What gives more epochs than those of a run that has ended."""
    if progress.epoch < ended.epochs:
        return f"its patience was used up; {_new_run(run, str(ended.epochs))} --patience N"
    if is_extension(ended.model_copy(update={"epochs": ended.epochs + 1}), ended):
        return f"for more epochs, go on with gpunn train --resume {_quoted(run.path)} --epochs N"
    return f"for more epochs, {_new_run(run, 'N')}"


def _new_run(run: RunFolder, epochs: str) -> str:
    return f"begin a new run with gpunn train --config {_quoted(run.configuration)} --epochs {epochs}"


def _quoted(path: Path) -> str:
    return shlex.quote(printable(path))
