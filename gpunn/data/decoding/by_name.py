"""A decoder by the name that a run's configuration gives it."""

from __future__ import annotations

from importlib.util import find_spec

from gpunn.data.decoding.picture import Decoder
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.errors import UsageError

DECODERS = ("pillow", "fast")

_FAST_REQUIRES = ("simplejpeg", "cykooz_resizer")


def decoder(name: str) -> Decoder:
    """The decoder called `name`; "auto" is the fastest that is installed.

    Raises:
        UsageError: there is none of that name, or what it needs is not installed.
    """
    missing = [module for module in _FAST_REQUIRES if find_spec(module) is None]
    if name == "pillow" or (name == "auto" and missing):
        return PillowDecoder()
    if name not in ("auto", "fast"):
        raise UsageError(f"there is no decoder {name!r}; known are auto, {', '.join(DECODERS)}")
    if missing:
        raise UsageError(f'the decoder "fast" needs {" and ".join(missing)}: pip install "gpunn[fast]"')
    from gpunn.data.decoding.fast import FastDecoder

    return FastDecoder()
