"""Colours, sizes and numbers as text, the same in every part of a chart."""

from __future__ import annotations

from math import ceil, floor, log10

#: One a device, in order: blue, vermilion, green, purple of Okabe and Ito's palette, told apart by all kinds of colour
#: vision; more devices begin again.
DEVICE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499")
MARKERS = ("o", "s", "^", "D")
INK = "#222222"
FAINT = "#6B6B6B"
STRIPE = "#F4F5F7"
WARNING = "#B00020"
TIMES = "\N{MULTIPLICATION SIGN}"
#: How much of white a backward pass's colour has.
_TINT = 0.55


def device_color(place: int) -> str:
    """The colour of the device at that place."""
    return DEVICE_COLORS[place % len(DEVICE_COLORS)]


def marker(place: int) -> str:
    """Its marker, for those who see no colours."""
    return MARKERS[place % len(MARKERS)]


def tint(color: str) -> str:
    """The same hue, lighter."""
    parts = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * _TINT):02X}" for part in parts)


def elide(text: str, most: int) -> str:
    """A text of at most that many characters: the middle gives way, since names differ at their ends."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def number(value: float) -> str:
    """Three significant digits, without exponents, thousands set apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if abs(value) >= 1:
        return f"{value:.2f}"
    return f"{value:.2g}"


def factor(value: float) -> str:
    """How many times: 12, 3.4 or 0.42 with the sign of multiplication behind it."""
    digits = 0 if value >= 10 else 1 if value >= 1 else 2
    return f"{value:,.{digits}f}{TIMES}"


def with_prefix(value: float, unit: str) -> str:
    """A figure with an SI prefix, such as "1.23 TFLOP/s"."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, the fewer the further these lie apart."""
    decades = log10(high / low)
    steps = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 8.0) if decades < 0.8 else (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
