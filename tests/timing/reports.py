"""Reports of real networks with invented times: what the layers would take on devices that nobody has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from gpunn.models import model
from gpunn.network import Network
from gpunn.timing.report import Ceilings, DeviceTimes, LayerTimes, TimingReport
from gpunn.timing.stopwatch import Times


@dataclass(frozen=True)
class Invented:
    """A device that is not there.

    Attributes:
        ceilings: which layers reach to some part that their names decide.
        overhead_ms: that every layer costs besides.
    """

    device: str
    name: str
    threads: int | None
    ceilings: Ceilings
    overhead_ms: float = 0.0


CPU = Invented("cpu", "AMD EPYC 9B14 96-Core Processor", 2, Ceilings(1.18e11, 2.1e10, "NumPy's BLAS"))
GPU = Invented("cuda:0", "Invented GPU, 80 GB", None, Ceilings(6.1e13, 2.4e12, "convolution2d"), 0.004)
PEER = Invented("pytorch:cpu", "AMD EPYC 9B14 96-Core Processor", 2, Ceilings(1.5e11, 2.0e10, "oneDNN"))
GPU_PEER = Invented("pytorch:cuda:0", "Invented GPU, 80 GB", None, Ceilings(6.0e13, 2.5e12, "cuBLAS"), 0.006)


def report_of(name: str, batch: int, *devices: Invented, layers: bool = True) -> TimingReport:
    """What `gpunn time` might say."""
    chosen = model(name)
    network = chosen.build(chosen.image, chosen.classes)
    times = tuple(_device(network, batch, device) for device in devices)
    if not layers:
        times = tuple(replace(device, layers=()) for device in times)
    return TimingReport(name, batch, "float32", times, {"gpunn": "0.1.0", "python": "3.11.9", "numpy": "2.4.6"})


def layer(name: str, forward_ms: float, backward_ms: float = 0.0, flops: int = 0, moved: int = 0) -> LayerTimes:
    """One row, without a share."""
    return LayerTimes(name, name, forward_ms, backward_ms, flops, flops, moved, "", None)


def device_of(device: str, *layers: LayerTimes, ceilings: Ceilings | None = None, name: str = "a chip") -> DeviceTimes:
    """A device with these rows, which make up its step of ten images."""
    step = sum(row.forward_ms + row.backward_ms for row in layers) or 1.0
    spread = Times(step, 0.9 * step, 1.2 * step)
    passed = Times(step / 4, step / 5, step / 2)
    return DeviceTimes(device, name, None, 10_000 / step, 40_000 / step, spread, passed, ceilings, layers)


def _device(network: Network, batch: int, device: Invented) -> DeviceTimes:
    rows = [_row("input", "input", 0, 5 * batch * prod(network.image.shape), device, (1.0, 0.0))]
    for node in network.nodes[1:]:
        own = sum(prod(parameter.shape) for parameter in node.layer.parameters(node.input_shapes))
        moved = 4 * (own + batch * (prod(node.shape) + sum(map(prod, node.input_shapes))))
        products = batch * node.layer.flops(node.input_shapes)
        free = node.layer.kind == "flatten"
        rows.append(_row(node.name, node.layer.kind, products, 0 if free else moved, device, (1.0, 2.0)))
    rows.append(_row("loss", "loss", 0, 8 * batch * network.outputs[0].shape[0], device, (1.0, 0.0)))
    rows.append(_row("optimizer", "optimizer", 0, 20 * network.parameter_count, device, (0.0, 1.0)))
    step = sum(row.forward_ms + row.backward_ms for row in rows)
    passed = sum(row.forward_ms for row in rows)
    return DeviceTimes(
        device.device,
        device.name,
        device.threads,
        1000 * batch / step,
        1000 * batch / passed,
        Times(step, 0.96 * step, 1.09 * step),
        Times(passed, 0.95 * passed, 1.05 * passed),
        device.ceilings,
        tuple(rows),
    )


def _row(name: str, kind: str, products: int, moved: int, device: Invented, passes: tuple[float, float]) -> LayerTimes:
    # A part between 0.25 and 0.9, the same for a name on every run, another for every device.
    reached = 0.25 + 0.65 * (sum(map(ord, name + device.device)) * 7919 % 101) / 100
    floor = 1000 * max(products / device.ceilings.flops, moved / device.ceilings.bytes_per_second)
    taken = floor / reached + device.overhead_ms if floor else 0.0
    forward, backward = (times * taken for times in passes)
    executed = round(1.07 * sum(passes) * products)
    share = reached if taken else None
    return LayerTimes(
        name, kind, forward, backward, round(sum(passes) * products), executed, round(sum(passes) * moved), kind, share
    )
