"""Dictionaries as TOML text, which Python reads (tomllib) but does not write. https://toml.io/en/v1.0.0"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(table: Mapping[str, Any]) -> str:
    """TOML that `tomllib` reads back as the same dictionary; keys whose value is None are left out.

    Args:
        table: text keys; values are text, bool, int, float, list or tuple, and mappings of the same kind.

    Raises:
        TypeError: when a value is of another kind, or a list holds None.
        ValueError: when a text cannot be written as UTF-8, as names with odd bytes.
    """
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    given = {key: value for key, value in table.items() if value is not None}
    tables = {key: value for key, value in given.items() if isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in given.items() if key not in tables]
    if path:
        lines = ["", f"[{'.'.join(map(_key, path))}]", *lines]
    for key, inner in tables.items():
        lines += _lines(inner, (*path, key))
    return lines


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_value(inner)}" for key, inner in value.items() if inner is not None)
        return f"{{ {', '.join(pairs)} }}"
    raise TypeError(f"TOML has no form for {value!r} ({type(value).__name__})")


def _text(text: str) -> str:
    text.encode()
    # JSON's escapes are TOML's too, but JSON leaves the delete character as it is and TOML does not.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
