"""The result as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table(found: Mapping[str, Any]) -> str:
    """A line per check, then per way to do a step; times are medians, with the lowest and the highest."""
    lines = [f"{name:28}  {_verdict(found[name])}" for name in ("primitives", "networks", "tests") if name in found]
    lines += [f"{'sanitizer ' + tool:28}  {_verdict(result)}" for tool, result in _tools(found).items()]
    for stage, result in found.items():
        if isinstance(result, dict) and "milliseconds" in result:
            lines += ["", f"{stage}, batch {result['batch']}"]
            lines += [_step(name, times, result) for name, times in result["milliseconds"].items()]
    return "\n".join(lines)


def _tools(found: Mapping[str, Any]) -> Mapping[str, Any]:
    tools = found.get("sanitizer", {})
    return {name: result for name, result in tools.items() if isinstance(result, list)}


def _verdict(result: Any) -> str:
    if isinstance(result, list):
        return "right" if not result else f"{len(result)} failures, the first: {result[0][:200]}"
    return next(iter(result))


def _step(name: str, times: Mapping[str, float], result: Mapping[str, Any]) -> str:
    rate = result["images_per_second"][name]
    return f"  {name:28}  {times['median']:9.3f} ms ({times['low']:.3f} to {times['high']:.3f})  {rate:10,.0f} images/s"
