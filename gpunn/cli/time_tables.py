"""What gpunn time prints."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.cli.table import table
from gpunn.timing.report import DeviceTimes, LayerTimes, TimingReport
from gpunn.timing.stopwatch import Times


def tables(report: TimingReport) -> str:
    """Devices first, then the layers of each, then how they compare."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    parts = [f"{report.model}, batch {report.batch}, {report.precision} ({versions})", _devices(report.devices)]
    parts.append("\n".join(map(_hardware, report.devices)))
    parts += [_layers(device) for device in report.devices if device.layers]
    first, *others = report.devices
    shared = [device for device in report.devices if device.layers]
    if len(shared) > 1:
        parts.append(_side_by_side(shared))
    parts += [_speed_up(first, other) for other in others]
    return "\n\n".join(parts)


def _devices(devices: Sequence[DeviceTimes]) -> str:
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
    return table(header, rows, range(1, len(header)))


def _hardware(device: DeviceTimes) -> str:
    """Whose times they are, and what they are held against."""
    parts = [f"{device.device}: {device.name}"]
    if device.threads is not None:
        kept = f" on cores {', '.join(map(str, device.cores))}" if device.cores else ""
        parts.append(f"{device.threads} thread{'s' if device.threads > 1 else ''}{kept}")
    if device.ceilings is not None:
        parts.append(f"product by {device.ceilings.product}")
    return "; ".join(parts)


def _layers(device: DeviceTimes) -> str:
    header = (
        device.device,
        "kind",
        "forward ms",
        "backward ms",
        "low to high",
        "of the step",
        "GFLOP/s",
        "executed",
        "of ceiling",
        "algorithm, forward / backward",
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
    return (
        f"{table(header, rows, range(2, len(header) - 1))}\n"
        f"rows add up to {_ms(total)} ms, {total / step.median:.1%} of the whole step of {_ms(step.median)} ms "
        f"({_spread(step)})"
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


def _side_by_side(devices: Sequence[DeviceTimes]) -> str:
    """Milliseconds of a layer on every device, and how many times faster than the first one it is."""
    found = [{layer.name: _milliseconds(layer) for layer in device.layers} for device in devices]
    header = (
        "forward + backward",
        *(f"{device.device} ms" for device in devices),
        *(f"{device.device} is faster by" for device in devices[1:]),
    )
    rows = [
        (
            name,
            *(_ms(times[name]) if name in times else "" for times in found),
            *(f"{found[0][name] / times[name]:.2f}" if times.get(name) else "" for times in found[1:]),
        )
        for name in found[0]
    ]
    return table(header, rows, range(1, len(header)))


def _speed_up(first: DeviceTimes, other: DeviceTimes) -> str:
    """With the range of a step as the worst that both spreads allow."""
    return (
        f"{other.device} trains {first.step_ms.median / other.step_ms.median:.2f} times as fast as {first.device} "
        f"({first.step_ms.low / other.step_ms.high:.2f} to {first.step_ms.high / other.step_ms.low:.2f}), and infers "
        f"{first.inference_ms.median / other.inference_ms.median:.2f} times as fast "
        f"({first.inference_ms.low / other.inference_ms.high:.2f} to "
        f"{first.inference_ms.high / other.inference_ms.low:.2f})"
    )


def _milliseconds(layer: LayerTimes) -> float:
    return layer.forward_ms + layer.backward_ms


def _rate(operations: int, milliseconds: float) -> str:
    """Thousand millions a second; nothing where there are none."""
    return f"{operations / milliseconds / 1e6:,.1f}" if operations and milliseconds else ""


def _spread(times: Times) -> str:
    return f"{_ms(times.low)} to {_ms(times.high)}"


def _ms(milliseconds: float) -> str:
    """Three digits that count."""
    digits = 1 if milliseconds >= 100 else 2 if milliseconds >= 10 else 3
    return f"{milliseconds:,.{digits}f}" if milliseconds else ""
