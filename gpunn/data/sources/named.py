"""Data sets that have a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpunn.data.dataset import Split
from gpunn.data.sources.digits import read_digits
from gpunn.data.sources.fashion_mnist import SETTINGS, read_fashion_mnist


@dataclass(frozen=True)
class NamedData:
    """A data set that has a name.

    Attributes:
        read: opens it.
        settings: those of a run that does well on it, as `config.toml` names them; they take the place of the model's
            recipe, and what the user says takes theirs.
    """

    read: Callable[[], Split]
    settings: Mapping[str, Any] = field(default_factory=dict)


NAMED: Mapping[str, NamedData] = {
    "digits": NamedData(read_digits),
    "fashion-mnist": NamedData(read_fashion_mnist, SETTINGS),
}
