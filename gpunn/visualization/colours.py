"""From numbers to colours, uint8 RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Values = np.ndarray[Any, Any]

#: Colour maps of matplotlib: both are even for the eye, and told apart by people who confuse red and green.
_RISING = "magma"
_SIGNED = "RdBu_r"
_HEAT = "inferno"


def rising_colours(values: Values, low: float, high: float) -> Pixels:
    """(...) to (..., 3): black at `low`, bright at `high`; all black where they are the same."""
    return _mapped(_RISING, (values - low) / ((high - low) or 1.0))


def signed_colours(values: Values, limit: float) -> Pixels:
    """(...) to (..., 3): white at 0, red at `limit` or above, blue at -limit or below."""
    return _mapped(_SIGNED, 0.5 + 0.5 * values / limit)


def heat_colours(shares: Values) -> Pixels:
    """(...) to (..., 3): black at 0, bright yellow at 1."""
    return _mapped(_HEAT, shares)


def colours_around_grey(values: Values, limit: float) -> Pixels:
    """(..., 3) as colours: mid grey at 0, a channel at 255 where its value is `limit`, at 0 where it is -limit."""
    return np.rint(np.clip(0.5 + 0.5 * values / limit, 0.0, 1.0) * 255).astype(np.uint8)


def picture_colours(picture: Pixels) -> Pixels:
    """(H, W, 1 or 3) as (H, W, 3)."""
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))


def limit_of(values: Values) -> float:
    """The largest magnitude, as the end of a scale; 1 where all values are zero."""
    return float(np.abs(values).max(initial=0.0)) or 1.0


def _mapped(name: str, shares: Values) -> Pixels:
    # Imported here since matplotlib takes longer to import than all of gpunn.
    from matplotlib import colormaps

    # An odd number of colours has one in the middle: zero is white, and not a little red.
    coloured: Pixels = colormaps[name].resampled(257)(np.clip(shares, 0.0, 1.0), bytes=True)[..., :3]
    return coloured
