"""A decoder by the name that a run's configuration gives it."""

from __future__ import annotations

from gpunn.data.decoding.picture import Decoder
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.errors import UsageError

DECODERS = ("pillow",)


def decoder(name: str) -> Decoder:
    """The decoder called `name`; "auto" is the fastest that is installed.

    Raises:
        UsageError: there is none of that name.
    """
    if name in ("auto", "pillow"):
        return PillowDecoder()
    raise UsageError(f"there is no decoder {name!r}; known are auto, {', '.join(DECODERS)}")
