"""The result as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Stages that give a list of failures.
CHECKS = ("primitives", "networks", "large networks", "tests")


def table(found: Mapping[str, Any]) -> str:
    """A line per check, then per way to do a step; times are medians, with the lowest and the highest."""
    checks = {name: found[name] for name in CHECKS if isinstance(found.get(name), list)}
    checks |= {f"sanitizer {tool}": result for tool, result in found.get("sanitizer", {}).items()}
    lines = [f"{name:28}  {_verdict(result)}" for name, result in checks.items() if isinstance(result, list)]
    for stage, result in found.items():
        if not isinstance(result, dict):
            continue
        if "failed" in result or "left out" in result:
            lines.append(f"{stage:28}  {next(iter(result))}")
        if "milliseconds" in result:
            lines += ["", f"{stage}, batch {result['batch']}"]
            lines += [_step(name, times, result) for name, times in result["milliseconds"].items()]
    return "\n".join(lines)


def _verdict(failures: Sequence[str]) -> str:
    return "right" if not failures else f"{len(failures)} failures, the first: {failures[0][:200]}"


def _step(name: str, times: Mapping[str, float], result: Mapping[str, Any]) -> str:
    rate = result["images_per_second"][name]
    return f"  {name:28}  {times['median']:9.3f} ms ({times['low']:.3f} to {times['high']:.3f})  {rate:10,.0f} images/s"
