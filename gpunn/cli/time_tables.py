"""What gpunn time prints."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.cli.columns import Column, fitting
from gpunn.cli.table import table
from gpunn.timing.report import DeviceTimes, LayerTimes, TimingReport
from gpunn.timing.stopwatch import Times

_KIND, _ALGORITHM = "kind", "algorithm, forward / backward"
_TEXT = (_KIND, _ALGORITHM)
#: Columns by what they are worth where a terminal has no room for all.
_DEVICE_WORTH = (9, 8, 7, 6, 5, 3, 1, 4, 2)
_LAYER_WORTH = (10, 1, 8, 7, 3, 9, 5, 2, 6, 4)
#: Rows that add up to less or more of the step were taken at other moments than the step.
_LEAST_SUM, _LARGEST_SUM = 0.9, 1.1
_HELD_UP = "something else held the machine up, or the step is too short to time piece by piece: take the run again"


def tables(report: TimingReport, width: int | None = None) -> str:
    """Devices first, then the layers of each, then how they compare.

    Args:
        width: characters of a line, for which the columns that tell least are left out; None has room for all.
    """
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    asked = f"{report.model}, batch {report.batch}, {report.precision}"
    if report.algorithm != "auto":
        asked += f", convolutions on the CPU {report.algorithm}"
    parts = [f"{asked} ({versions})", _devices(report.devices, width)]
    parts.append("\n".join(map(_hardware, report.devices)))
    parts += [_layers(device, width) for device in report.devices if device.layers]
    first, *others = report.devices
    shared = [device for device in report.devices if device.layers]
    if len(shared) > 1:
        parts.append(_side_by_side(report, shared, width))
    parts += [_speed_up(first, other) for other in others if report.are_comparable(first, other)]
    parts += [f"warning: {warning}" for warning in report.warnings]
    return "\n\n".join(parts)


def _fitted(header: Sequence[str], rows: Sequence[Sequence[str]], worth: Sequence[int], width: int | None) -> str:
    """A table, and below it the titles of what there was no room for."""
    columns = [
        Column(title, cells, place > 0 and title not in _TEXT, worth[place])
        for place, (title, cells) in enumerate(zip(header, zip(*rows, strict=True), strict=True))
    ]
    kept, left_out = fitting(columns, width)
    numbers = [place for place, column in enumerate(kept) if column.is_number]
    text = table([column.title for column in kept], list(zip(*(column.cells for column in kept), strict=True)), numbers)
    if not left_out:
        return text
    titles = ", ".join(column.title for column in left_out)
    return f"{text}\nleft out, for want of width: {titles}; a wider terminal has them, and --json"


def _devices(devices: Sequence[DeviceTimes], width: int | None) -> str:
    header = (
        "device",
        "training images/s",
        "step ms",
        "low to high",
        "inference images/s",
        "pass ms",
        "low to high",
        "product GFLOP/s",
        "copy GB/s",
    )
    rows = [
        (
            device.device,
            f"{device.training_images_per_second:,.1f}",
            _ms(device.step_ms.median),
            _spread(device.step_ms),
            f"{device.inference_images_per_second:,.1f}",
            _ms(device.inference_ms.median),
            _spread(device.inference_ms),
            "" if device.ceilings is None else f"{device.ceilings.flops / 1e9:,.0f}",
            "" if device.ceilings is None else f"{device.ceilings.bytes_per_second / 1e9:,.1f}",
        )
        for device in devices
    ]
    return _fitted(header, rows, _DEVICE_WORTH, width)


def _hardware(device: DeviceTimes) -> str:
    """Whose times they are, and what they are held against."""
    parts = [f"{device.device}: {device.name}"]
    if device.threads is not None:
        cores = ", ".join(map(str, device.cores))
        kept = f" on core{_plural(len(device.cores))} {cores}" if cores else ""
        parts.append(f"{device.threads} thread{_plural(device.threads)}{kept}")
    if device.ceilings is not None:
        parts.append(f"product by {device.ceilings.product}")
    return "; ".join(parts)


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


def _layers(device: DeviceTimes, width: int | None) -> str:
    header = (
        device.device,
        _KIND,
        "forward ms",
        "backward ms",
        "low to high",
        "of the step",
        "GFLOP/s",
        "executed",
        "of ceiling",
        _ALGORITHM,
    )
    total = sum(map(_milliseconds, device.layers))
    rows = [_layer(layer, total) for layer in device.layers]
    forward = sum(layer.forward_ms for layer in device.layers)
    operations, executed = (
        sum(getattr(layer, name) for layer in device.layers) for name in ("flops", "executed_flops")
    )
    rows.append(
        (
            *("all rows", "", _ms(forward), _ms(total - forward), "", "100%"),
            *(_rate(operations, total), _rate(executed, total), "", ""),
        )
    )
    step = device.step_ms
    part = total / step.median
    told = "" if _LEAST_SUM <= part <= _LARGEST_SUM else f"; {_HELD_UP}"
    return (
        f"{_fitted(header, rows, _LAYER_WORTH, width)}\n"
        f"rows add up to {_ms(total)} ms, {part:.1%} of the whole step of {_ms(step.median)} ms "
        f"({_spread(step)}){told}"
    )


def _layer(layer: LayerTimes, total: float) -> tuple[str, ...]:
    both = _milliseconds(layer)
    return (
        layer.name,
        "" if layer.kind == layer.name else layer.kind,
        _ms(layer.forward_ms),
        _ms(layer.backward_ms),
        "" if layer.both_ms is None else _spread(layer.both_ms),
        f"{both / total:.1%}",
        _rate(layer.flops, both),
        _rate(layer.executed_flops, both),
        "" if layer.share_of_ceiling is None else f"{layer.share_of_ceiling:.0%}",
        layer.algorithm,
    )


def _side_by_side(report: TimingReport, devices: Sequence[DeviceTimes], width: int | None) -> str:
    """Milliseconds of a layer on every device, and how many times faster than the first one it is."""
    compared = [place for place, device in enumerate(devices) if place and report.are_comparable(devices[0], device)]
    found = [{layer.name: _milliseconds(layer) for layer in device.layers} for device in devices]
    header = (
        "forward + backward",
        *(f"{device.device} ms" for device in devices),
        *(f"{devices[place].device} times as fast" for place in compared),
    )
    rows = [
        (
            name,
            *(_ms(times[name]) if name in times else "" for times in found),
            *(_factor(found[0][name] / found[place][name]) if found[place].get(name) else "" for place in compared),
        )
        for name in found[0]
    ]
    return _fitted(header, rows, range(len(header), 0, -1), width)


def _speed_up(first: DeviceTimes, other: DeviceTimes) -> str:
    return (
        f"{other.device} trains {_faster(first.step_ms, other.step_ms, first.device)}, and infers "
        f"{_faster(first.inference_ms, other.inference_ms)}"
    )


def _faster(first: Times, other: Times, name: str = "") -> str:
    """With the range that both spreads allow at worst."""
    beside = f" as {name}" if name else ""
    return (
        f"{_factor(first.median / other.median)} times as fast{beside} "
        f"({_factor(first.low / other.high)} to {_factor(first.high / other.low)})"
    )


def _factor(ratio: float) -> str:
    """Three digits that count, down to a thousandth."""
    digits = 0 if ratio >= 100 else 1 if ratio >= 10 else 2 if ratio >= 1 else 3
    return f"{ratio:,.{digits}f}"


def _milliseconds(layer: LayerTimes) -> float:
    return layer.forward_ms + layer.backward_ms


def _rate(operations: int, milliseconds: float) -> str:
    """Thousand millions a second; nothing where there are none."""
    if not operations or not milliseconds:
        return ""
    rate = operations / milliseconds / 1e6
    return f"{rate:,.{1 if rate >= 1 else 3}f}"


def _spread(times: Times) -> str:
    return f"{_ms(times.low)} to {_ms(times.high)}"


def _ms(milliseconds: float) -> str:
    """Three digits that count."""
    digits = 1 if milliseconds >= 100 else 2 if milliseconds >= 10 else 3
    return f"{milliseconds:,.{digits}f}" if milliseconds else ""
