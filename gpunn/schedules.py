"""How the learning rate changes over a run: pure functions of the step.

Rates are those of the step that follows, counted from 0. "epoch" is the number of whole epochs done; t is the same
with its fraction, step / steps_per_epoch, so that the smooth schedules move at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, isfinite, pi
from typing import Protocol

from gpunn.errors import UsageError

FORMS = """\
  constant
  step:EPOCHS,FACTOR            times FACTOR after every EPOCHS epochs, such as step:30,0.1
  multi-step:E1,E2,...,FACTOR   times FACTOR after each of these epochs, such as multi-step:60,80,0.1
  exponential:K                 times exp(-K t), t in epochs, such as exponential:0.05
  inverse:K                     divided by 1 + K t, t in epochs, such as inverse:0.1
  decay:D                       divided by 1 + D epoch, such as decay:1
  power:K                       times K^epoch, such as power:0.95
  cosine or cosine:LAST         half a cosine from the first rate to LAST (0 when left out)
  warmup:EPOCHS,FORM            a linear rise over EPOCHS epochs before any of these, such as warmup:2,cosine"""


class Schedule(Protocol):
    """A rule for the learning rate."""

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate of the step after `step` steps."""


@dataclass(frozen=True)
class ConstantSchedule:
    """The same rate throughout."""

    first: float

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """first."""
        return self.first


@dataclass(frozen=True)
class StepSchedule:
    """first * factor^(epoch // epochs)."""

    first: float
    epochs: int
    factor: float

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, f"steps of {self.epochs} epochs; give 1 or more")
        _require_factor(self.factor)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate, constant between the drops."""
        return self.first * self.factor ** (step // steps_per_epoch // self.epochs)


@dataclass(frozen=True)
class MultiStepSchedule:
    """first * factor^(how many of `epochs` are done)."""

    first: float
    epochs: tuple[int, ...]
    factor: float

    def __post_init__(self) -> None:
        rising = all(before < after for before, after in zip((0, *self.epochs), self.epochs, strict=False))
        _require(rising and len(self.epochs) > 0, f"drops after epochs {self.epochs}; give rising numbers from 1")
        _require_factor(self.factor)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate, constant between the drops."""
        epoch = step // steps_per_epoch
        return self.first * self.factor ** sum(drop <= epoch for drop in self.epochs)


@dataclass(frozen=True)
class ExponentialSchedule:
    """first * exp(-k t), t in epochs."""

    first: float
    k: float

    def __post_init__(self) -> None:
        _require_not_negative("k", self.k)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate, falling at every step."""
        return self.first * exp(-self.k * step / steps_per_epoch)


@dataclass(frozen=True)
class InverseSchedule:
    """first / (1 + k t), t in epochs."""

    first: float
    k: float

    def __post_init__(self) -> None:
        _require_not_negative("k", self.k)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate, falling at every step."""
        return self.first / (1 + self.k * step / steps_per_epoch)


@dataclass(frozen=True)
class DecaySchedule:
    """first / (1 + decay * epoch)."""

    first: float
    decay: float

    def __post_init__(self) -> None:
        _require_not_negative("decay", self.decay)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate, constant within an epoch."""
        return self.first / (1 + self.decay * (step // steps_per_epoch))


@dataclass(frozen=True)
class PowerSchedule:
    """k^epoch * first."""

    first: float
    k: float

    def __post_init__(self) -> None:
        _require_factor(self.k)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate, constant within an epoch."""
        return self.first * self.k ** (step // steps_per_epoch)


@dataclass(frozen=True)
class CosineSchedule:
    """last + (first - last) (1 + cos(pi t / total_epochs)) / 2, and `last` after the end.

    (Loshchilov and Hutter, 2017, equation 5, without restarts.)
    """

    first: float
    total_epochs: int
    last: float = 0.0

    def __post_init__(self) -> None:
        _require(self.total_epochs >= 1, f"a cosine over {self.total_epochs} epochs; give 1 or more")
        _require_not_negative("last", self.last)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate, falling at every step."""
        done = min(1.0, step / (steps_per_epoch * self.total_epochs))
        return self.last + (self.first - self.last) * (1 + cos(pi * done)) / 2


@dataclass(frozen=True)
class WarmUp:
    """Another schedule, times a factor that rises linearly to 1 over the first epochs (Goyal et al., 2017).

    The other schedule counts from the first step of the run, so the epochs it names stay where they are.
    """

    epochs: float
    schedule: Schedule

    def __post_init__(self) -> None:
        _require(isfinite(self.epochs) and self.epochs > 0, f"a warm-up of {self.epochs} epochs; give more than 0")

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """The rate; the first step already moves, by one part of the rise."""
        rise = min(1.0, (step + 1) / (self.epochs * steps_per_epoch))
        return rise * self.schedule.learning_rate(step, steps_per_epoch)


def parse_schedule(text: str, learning_rate: float, total_epochs: int) -> Schedule:
    """The schedule that a person wrote on the command line.

    Args:
        text: one of the forms in FORMS.
        learning_rate: the first rate, after a warm-up.
        total_epochs: the length of the run, which a cosine covers.

    Raises:
        UsageError: when the text is none of the forms; it names the text and lists them.
    """
    _require(isfinite(learning_rate) and learning_rate >= 0, f"a learning rate of {learning_rate}; give 0 or more")
    try:
        return _parse(text.strip(), learning_rate, total_epochs)
    except (UsageError, ValueError) as error:
        reason = f" ({error})" if isinstance(error, UsageError) else ""
        raise UsageError(f"schedule {text!r} cannot be used{reason}; the forms are:\n{FORMS}") from None


def _parse(text: str, first: float, total_epochs: int) -> Schedule:
    name, _, rest = text.partition(":")
    if name == "warmup":
        epochs, _, other = rest.partition(",")
        return WarmUp(float(epochs), _parse(other.strip(), first, total_epochs))
    if name not in _MAKERS:
        raise UsageError(f"{name!r} is not known")
    arguments = [part.strip() for part in rest.split(",")] if rest else []
    least, most, make = _MAKERS[name]
    if not least <= len(arguments) <= most:
        raise UsageError(f"{name} got {len(arguments)} numbers")
    return make(first, total_epochs, arguments)


_Maker = Callable[[float, int, list[str]], Schedule]

#: Of each form: the fewest and the most numbers it takes, and how it is made of them.
_MAKERS: dict[str, tuple[int, float, _Maker]] = {
    "constant": (0, 0, lambda first, total, numbers: ConstantSchedule(first)),
    "step": (2, 2, lambda first, total, numbers: StepSchedule(first, int(numbers[0]), float(numbers[1]))),
    "multi-step": (
        2,
        float("inf"),
        lambda first, total, numbers: MultiStepSchedule(first, tuple(map(int, numbers[:-1])), float(numbers[-1])),
    ),
    "exponential": (1, 1, lambda first, total, numbers: ExponentialSchedule(first, float(numbers[0]))),
    "inverse": (1, 1, lambda first, total, numbers: InverseSchedule(first, float(numbers[0]))),
    "decay": (1, 1, lambda first, total, numbers: DecaySchedule(first, float(numbers[0]))),
    "power": (1, 1, lambda first, total, numbers: PowerSchedule(first, float(numbers[0]))),
    "cosine": (0, 1, lambda first, total, numbers: CosineSchedule(first, total, *map(float, numbers))),
}


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise UsageError(otherwise)


def _require_factor(factor: float) -> None:
    _require(isfinite(factor) and factor > 0, f"a factor of {factor}; give a number above 0")


def _require_not_negative(name: str, value: float) -> None:
    _require(isfinite(value) and value >= 0, f"{name} is {value}; give 0 or more")
