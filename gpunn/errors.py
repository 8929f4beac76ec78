"""What can go wrong, each kind with the exit status that the command line gives it."""

from __future__ import annotations

from typing import ClassVar


class GpunnError(Exception):
    """An error that a person can mend: its text names what is wrong and what to do about it."""

    exit_code: ClassVar[int] = 1


class UsageError(GpunnError):
    """An option, an argument or a network description that cannot be used as given."""

    exit_code = 2


class ShapeError(UsageError):
    """A layer that does not fit the shape it is given."""


class DataError(GpunnError):
    """A data set or an image that is refused."""

    exit_code = 3


class DeviceError(GpunnError):
    """A device that is not there, or does not do what was asked of it."""

    exit_code = 4


class MemoryExhaustedError(GpunnError):
    """A plan that does not fit the memory of its device."""

    exit_code = 5


class DivergedError(GpunnError):
    """A training run whose loss is no longer a finite number."""

    exit_code = 6


class CheckpointError(GpunnError):
    """A checkpoint that is damaged, foreign, or belongs to another network."""

    exit_code = 7
