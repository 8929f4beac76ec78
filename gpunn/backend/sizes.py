"""Amounts of memory in words."""

from __future__ import annotations


def describe_bytes(size: int) -> str:
    """Such as "1.5 GiB", "12.0 MiB" or "300 bytes"."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} bytes"
