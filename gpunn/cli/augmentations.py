"""gpunn augmentations."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpunn.cli.options import JsonOption

if TYPE_CHECKING:
    from gpunn.data.augmenting.setting import Setting

_WIDTH = 110
_NAMES_WIDTH = 30


def augmentations(as_json: JsonOption = False) -> None:
    """List what may be done to training images: by name, and setting by setting.

    Example:

    gpunn augmentations

    gpunn train --data flowers/ --augmentation photographs --set augmentation.hue=10
    """
    from gpunn.data.augmenting.augmentation import Augmentation, augmentation_settings
    from gpunn.data.augmenting.words import describe_augmentation
    from gpunn.training.augmentation_setting import NAMED_AUGMENTATIONS

    named = {name: describe_augmentation(make()) for name, make in NAMED_AUGMENTATIONS.items()}
    nothing = Augmentation()
    settings = augmentation_settings()
    defaults = {name: getattr(nothing, name) for name in settings}
    if as_json:
        print(json.dumps({"augmentations": named, "settings": _as_json(settings, defaults)}))
        return
    print("--augmentation NAME")
    for name, words in {"auto": "what suits the data", **named}.items():
        _print_entry(name, words)
    print("\n--set augmentation.NAME=VALUE, over what --augmentation names; here with the defaults")
    for topic in dict.fromkeys(setting.topic for setting in settings.values()):
        print(f"\n{topic}")
        for name, setting in settings.items():
            if setting.topic == topic:
                _print_entry(f"{name}={_as_text(defaults[name])}", f"{setting.meaning} ({setting.allowed.text})")


def _print_entry(name: str, words: str) -> None:
    indent = " " * (_NAMES_WIDTH + 2)
    print(textwrap.fill(f"  {name.ljust(_NAMES_WIDTH)}{words}", _WIDTH, subsequent_indent=indent))


def _as_json(settings: Mapping[str, Setting], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "default": defaults[name],
            "allowed": setting.allowed.text,
            "meaning": setting.meaning,
            "topic": setting.topic,
        }
        for name, setting in settings.items()
    }


def _as_text(value: Any) -> str:
    """As TOML has it; numbers to four digits."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(f'{number:.4g}' for number in value)}]"
        case _:
            return f"{value:g}"
