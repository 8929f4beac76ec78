"""The ends of branches as modules, which torch.nn has not."""

from __future__ import annotations

from typing import Any


def add_module(torch: Any, overwrites: bool) -> Any:
    """The sum of its inputs, written over the first of them where that is allowed."""

    def forward(_: Any, first: Any, *others: Any) -> Any:
        for other in others:
            if overwrites:
                first += other
            else:
                first = first + other
        return first

    return _module(torch, "Add", forward)


def concatenate_module(torch: Any) -> Any:
    """The channels of its inputs, one after another."""
    return _module(torch, "Concatenate", lambda _, *values: torch.cat(values, dim=1))


def _module(torch: Any, name: str, forward: Any) -> Any:
    return type(name, (torch.nn.Module,), {"forward": forward})()
