"""What the setting `augmentation` means: the name of an augmentation, or a table of changes to one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from gpunn.data.augmenting.augmentation import Augmentation, ColourAxes
from gpunn.errors import UsageError

AugmentationSetting: TypeAlias = str | dict[str, Any]
"""A name, or a table with the attributes of `Augmentation` and `base`, the name of what it changes."""

_NAMED: Mapping[str, Callable[[], Augmentation | None]] = {
    "none": lambda: None,
    "digits": Augmentation.for_digits,
    "photographs": Augmentation.for_photographs,
    "alexnet": Augmentation.for_alexnet,
}
_NAMES = ("auto", *_NAMED)
_ATTRIBUTES = tuple(field.name for field in fields(Augmentation))


def chosen_augmentation(setting: AugmentationSetting, suited: Augmentation | None) -> Augmentation | None:
    """What a setting asks for.

    Args:
        setting: a name or a table; a table without `base` changes "auto".
        suited: what the name "auto" stands for: what suits the data.

    Raises:
        UsageError: a name is not known or a value not allowed; the text names it.
    """
    table = {"base": setting} if isinstance(setting, str) else setting
    base = _based_on(table.get("base", "auto"), suited)
    changes = {name: value for name, value in table.items() if name != "base"}
    for name in changes:
        _require_known(name, _ATTRIBUTES, "setting of the augmentation", ("base", *_ATTRIBUTES))
    return _changed(base or Augmentation(), changes) if changes else base


def with_colour_axes(setting: AugmentationSetting, axes: ColourAxes) -> AugmentationSetting:
    """The same setting with the axes that were measured, in the form in which a file keeps them."""
    table = {"base": setting} if isinstance(setting, str) else setting
    return {**table, "colour_axes": [list(axis) for axis in axes]}


def with_change(setting: object, name: str, value: object) -> dict[str, Any]:
    """A setting, or None, with one entry of its table changed."""
    table = setting if isinstance(setting, Mapping) else {} if setting is None else {"base": setting}
    return {**table, name: value}


def _based_on(base: object, suited: Augmentation | None) -> Augmentation | None:
    if base == "auto":
        return suited
    _require_known(base, _NAMES, "augmentation", _NAMES)
    return _NAMED[str(base)]()


def _require_known(name: object, known: tuple[str, ...], kind: str, listed: tuple[str, ...]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(str(name), listed, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(listed)}"
    raise UsageError(f"there is no {kind} {name!r}; {hint}")


def _changed(base: Augmentation, changes: Mapping[str, Any]) -> Augmentation:
    try:
        # In JSON a list may be a tuple and a whole number a float, and text is no number.
        text = json.dumps({**asdict(base), **changes})
        return TypeAdapter(Augmentation).validate_json(text, strict=True)
    except TypeError as error:
        raise UsageError(f"augmentation: {error}; give numbers, or lists of them") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        raise UsageError(f"augmentation.{name} is {first['input']!r}: {message}") from None
