"""The layers of several devices side by side, as rows of a chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpunn.timing.report import DeviceTimes, LayerTimes

#: More rows than this are too small to read on a chart of 900 pixels.
MOST_ROWS = 46


@dataclass(frozen=True)
class Cell:
    """What one device needs for one row."""

    forward_ms: float
    backward_ms: float

    @property
    def total_ms(self) -> float:
        """Both directions."""
        return self.forward_ms + self.backward_ms


@dataclass(frozen=True)
class Row:
    """A layer, or several small ones together.

    Attributes:
        cells: one a device, in their order; None where a device knows no such layer.
    """

    name: str
    cells: tuple[Cell | None, ...]

    @property
    def takes_time(self) -> bool:
        """Whether any device spends time on it."""
        return any(cell is not None and cell.total_ms > 0 for cell in self.cells)


@dataclass(frozen=True)
class Rows:
    """What a chart shows, and what it says about the rest.

    Attributes:
        shown: from the input to the optimiser.
        timeless: how many layers no device spends time on; they are not shown.
    """

    shown: tuple[Row, ...]
    timeless: int


def rows_of(devices: Sequence[DeviceTimes], most: int = MOST_ROWS) -> Rows:
    """The layers of all devices by name, in the order of the network.

    Where there are more than `most`, those that take the smallest share of a step on every device become one row, the
    last: nothing is lost from the sum.
    """
    rows = [_row(name, devices) for name in _names(devices)]
    busy = [row for row in rows if row.takes_time]
    return Rows(tuple(_fold(busy, devices, most)), len(rows) - len(busy))


def speed_ups(rows: Iterable[Row], device: int, beside: int = 0) -> list[float | None]:
    """How many times as fast as the device `beside` another one is; None where either takes no time or has no row."""
    found: list[float | None] = []
    for row in rows:
        slow, fast = row.cells[beside], row.cells[device]
        told = slow is not None and fast is not None and slow.total_ms > 0 and fast.total_ms > 0
        found.append(slow.total_ms / fast.total_ms if told and slow and fast else None)
    return found


def _names(devices: Sequence[DeviceTimes]) -> list[str]:
    """Every name once; what only later devices have comes after the layer it follows there."""
    order: list[str] = []
    for device in devices:
        place = 0
        for layer in device.layers:
            if layer.name in order:
                place = order.index(layer.name) + 1
            else:
                order.insert(place, layer.name)
                place += 1
    return order


def _row(name: str, devices: Sequence[DeviceTimes]) -> Row:
    return Row(name, tuple(_cell([layer for layer in device.layers if layer.name == name]) for device in devices))


def _cell(layers: Sequence[LayerTimes]) -> Cell | None:
    if not layers:
        return None
    return Cell(sum(layer.forward_ms for layer in layers), sum(layer.backward_ms for layer in layers))


def _fold(rows: list[Row], devices: Sequence[DeviceTimes], most: int) -> list[Row]:
    if len(rows) <= most:
        return rows

    def share(row: Row) -> float:
        cells = zip(row.cells, devices, strict=True)
        return max(cell.total_ms / device.step_ms.median for cell, device in cells if cell is not None)

    small = sorted(rows, key=share)[: len(rows) - most + 1]
    kept = [row for row in rows if row not in small]
    together = tuple(_sum([row.cells[place] for row in small]) for place in range(len(devices)))
    return [*kept, Row(f"{len(small)} small ones", together)]


def _sum(cells: Sequence[Cell | None]) -> Cell | None:
    there = [cell for cell in cells if cell is not None]
    if not there:
        return None
    return Cell(sum(cell.forward_ms for cell in there), sum(cell.backward_ms for cell in there))
