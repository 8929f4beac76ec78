"""What an attribute of an augmentation means, and which values it takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Allowed:
    """The values of an attribute.

    Attributes:
        text: what a person is told to give.
        holds: whether something of the attribute's type is one of them.
    """

    text: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Setting:
    """Stands in the annotation of an attribute.

    Attributes:
        topic: what it belongs to, in a word.
        meaning: in a phrase, with its unit.
        allowed: its values.
    """

    topic: str
    meaning: str
    allowed: Allowed


def from_zero_to(most: float, unit: str = "") -> Allowed:
    """Numbers with both bounds."""
    return Allowed(f"a number from 0 to {most:g}{unit and f' {unit}'}", lambda value: 0.0 <= value <= most)


def from_zero_below(bound: float, unit: str) -> Allowed:
    """Numbers without the upper bound."""
    return Allowed(f"a number from 0 to less than {bound:g} {unit}", lambda value: 0.0 <= value < bound)


def not_negative() -> Allowed:
    """Finite numbers."""
    return Allowed("a number, 0 or more", lambda value: 0.0 <= value < math.inf)


def bounds(example: str, most: float = math.inf) -> Allowed:
    """A least and a largest number to draw from, which may be equal."""
    limit = "" if most == math.inf else f" and at most {most:g}"
    return Allowed(
        f"two numbers, the smaller one first, above 0{limit}, such as {example}",
        lambda pair: 0.0 < pair[0] <= pair[1] <= most and math.isfinite(pair[1]),
    )


def or_none(allowed: Allowed) -> Allowed:
    """The same values, and None for nothing at all."""
    return Allowed(allowed.text, lambda value: value is None or allowed.holds(value))
