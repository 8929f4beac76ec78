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
        settings: of a run that does well on it, by the names of `config.toml`; they stand over the recipe of the model
            and below what the user says.
    """

    read: Callable[[], Split]
    settings: Mapping[str, Any] = field(default_factory=dict)


#: By name.
NAMED: Mapping[str, NamedData] = {
    "digits": NamedData(read_digits),
    "fashion-mnist": NamedData(read_fashion_mnist, SETTINGS),
}
