"""What the setting `augmentation` means: the name of an augmentation, or a table of changes to one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from gpunn.data.augmenting.augmentation import Augmentation, ColourAxes, augmentation_settings
from gpunn.data.augmenting.setting import Setting
from gpunn.errors import UsageError

AugmentationSetting: TypeAlias = str | dict[str, Any]
"""A name, or a table with the attributes of `Augmentation` and `base`, the name of what it changes."""

NAMED_AUGMENTATIONS: Mapping[str, Callable[[], Augmentation | None]] = {
    "none": lambda: None,
    "digits": Augmentation.for_digits,
    "photographs": Augmentation.for_photographs,
    "alexnet": Augmentation.for_alexnet,
}
"""Those that do not depend on the data, as "auto" does."""

_NEAR = 0.75
"""How like a known name, from 0 to 1, a name is that was meant to be that one."""


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
    known = augmentation_settings()
    for name in changes:
        if name not in known:
            hint = _hint(name, ("base", *known))
            raise UsageError(f"there is no setting of the augmentation {name!r}; {hint} are {_by_topic(known)}")
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
    known = ("auto", *NAMED_AUGMENTATIONS)
    if base not in known:
        raise UsageError(f"there is no augmentation {base!r}; {_hint(base, known)} are {', '.join(known)}")
    return NAMED_AUGMENTATIONS[str(base)]()


def _hint(name: object, known: tuple[str, ...]) -> str:
    """The name that may have been meant, and the beginning of a list of all."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=_NEAR)
    return f"did you mean {near[0]!r}? Known" if near else "known"


def _by_topic(settings: Mapping[str, Setting]) -> str:
    """All of them in a line."""
    topics: dict[str, list[str]] = {}
    for name, setting in settings.items():
        topics.setdefault(setting.topic, []).append(name)
    listed = ", ".join(f"{topic} ({', '.join(names)})" for topic, names in topics.items())
    return f"{listed}, and base; `gpunn augmentations` explains them"


def _changed(base: Augmentation, changes: Mapping[str, Any]) -> Augmentation:
    try:
        # In JSON a list may be a tuple and a whole number a float, and text is no number.
        text = json.dumps({**asdict(base), **changes})
        return TypeAdapter(Augmentation).validate_json(text, strict=True)
    except TypeError as error:
        raise UsageError(f"augmentation: {error}; give numbers, or lists of them") from None
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        allowed = augmentation_settings()[name].allowed.text
        raise UsageError(f"augmentation.{name} is {changes[name]!r}; give {allowed}") from None
