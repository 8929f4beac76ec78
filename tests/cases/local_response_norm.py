"""Local response normalisations: shape and settings."""

from __future__ import annotations

from gpunn.backend.attributes import LocalResponse

LOCAL_RESPONSES: dict[str, tuple[tuple[int, int, int, int], LocalResponse]] = {
    "the paper's": ((3, 4, 2, 9), LocalResponse()),
    "strong": ((2, 3, 3, 7), LocalResponse(k=1.0, n=5, alpha=0.5, beta=0.75)),
    "another power": ((2, 3, 3, 6), LocalResponse(k=1.5, n=3, alpha=0.3, beta=0.6)),
    "even window": ((2, 2, 3, 8), LocalResponse(k=2.0, n=4, alpha=0.2, beta=0.75)),
    "window of one": ((2, 2, 2, 5), LocalResponse(k=1.0, n=1, alpha=0.4, beta=0.75)),
    "window wider than the channels": ((3, 2, 2, 3), LocalResponse(k=1.0, n=9, alpha=0.3, beta=0.5)),
    "one channel": ((5, 3, 3, 1), LocalResponse(k=1.0, n=5, alpha=0.3, beta=0.75)),
    "eight channels at a time": ((2, 3, 5, 16), LocalResponse(k=1.0, n=5, alpha=0.2, beta=0.75)),
    "an even window of eight at a time": ((1, 3, 3, 24), LocalResponse(k=1.0, n=6, alpha=0.2, beta=0.8)),
    "more channels than threads": ((1, 1, 2, 259), LocalResponse(k=1.0, n=5, alpha=0.2, beta=0.75)),
    "one element": ((1, 1, 1, 1), LocalResponse(k=1.0, n=2, alpha=0.3, beta=0.75)),
}
