"""An error in one line."""

from __future__ import annotations

from gpunn.errors import GpunnError


def reason(error: Exception) -> str:
    """Of a text of several lines, the last that says something, behind the kind of the error. gpunn's own errors come
    without what to do, which a finding says."""
    lines = [line.strip(" =") for line in str(error).splitlines() if line.strip(" =")] or [""]
    if isinstance(error, GpunnError):
        return lines[0].partition(";")[0].rstrip(":")
    return f"{type(error).__name__}: {lines[-1]}"
