"""Every algorithm of the CPU's convolutions on the shapes of the models, interleaved, and the one that is chosen.

    python -m benchmarks.cpu_convolutions --network vgg16 --batch 8 --threads 2

A line for each shape and pass: milliseconds of every algorithm that serves it, the median of some runs, the fastest
marked by a star and the chosen one by an arrow. So the chooser's rule of thumb is held against the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gpunn.backend.attributes import RELU
from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    Call,
    ForwardCall,
)
from gpunn.backend.cpu.convolution_algorithms.choosing import BACKWARD_DATA, BACKWARD_FILTER, FORWARD, in_order
from gpunn.backend.cpu.device import CpuDevice, open_cpu
from gpunn.geometry import Conv2dGeometry, Shape
from gpunn.layers.convolution import Conv2d
from gpunn.models import MODELS, model

FLOAT = np.dtype(np.float32)


def geometries(name: str, batch: int) -> list[Conv2dGeometry]:
    """The different convolutions of a network."""
    chosen = model(name)
    network = chosen.build(chosen.image, chosen.classes)
    found = [
        node.layer.geometry(batch, node.inputs[0].shape) for node in network.nodes if isinstance(node.layer, Conv2d)
    ]
    return list(dict.fromkeys(found))


class Arrays:
    """What a convolution reads and writes, full of random numbers."""

    def __init__(self, device: CpuDevice, geometry: Conv2dGeometry) -> None:
        self._device = device
        self._draw = np.random.default_rng(0)
        self.geometry = geometry
        self.x, self.y = self._images(geometry.input_shape), self._images(geometry.output_shape)
        self.w = self._draw.standard_normal(geometry.filter_shape, np.float32)
        self.bias = self._draw.standard_normal(geometry.K, np.float32)

    def forward(self, workspace: np.ndarray) -> ForwardCall:
        """With a bias and ReLU."""
        return ForwardCall(self.y, self.x, self.w, self.bias, self.geometry, RELU, workspace)

    def backward_data(self, workspace: np.ndarray) -> BackwardDataCall:
        """Written, not added."""
        return BackwardDataCall(self.x, self.y, self.w, self.geometry, False, workspace)

    def backward_filter(self, workspace: np.ndarray) -> BackwardFilterCall:
        """With the bias's gradient."""
        return BackwardFilterCall(self.w, self.bias, self.x, self.y, self.geometry, False, workspace)

    def _images(self, shape: Shape) -> np.ndarray:
        memory = self._device.allocate(self._device.size_of(shape, FLOAT, "images"))
        images = self._device.view(memory, 0, shape, FLOAT, "images")
        self._device.upload(images, self._draw.standard_normal(shape, np.float32))
        return images


def compare(
    device: CpuDevice,
    algorithms: Sequence[Algorithm[Call]],
    geometry: Conv2dGeometry,
    call: Callable[[np.ndarray], Call],
    repeats: int,
) -> str:
    """Times of all that serve, in words."""
    chosen = in_order(algorithms, geometry, "auto")[0].name
    serving = [one for one in algorithms if one.serves(geometry)]
    workspace = device.allocate(max(one.workspace(device, geometry, FLOAT) for one in serving))
    task = call(workspace)
    samples: dict[str, list[float]] = {one.name: [] for one in serving}
    for turn in range(repeats + 1):
        for one in serving:
            begun = time.perf_counter()
            one.run(device, task)
            if turn:
                samples[one.name].append(1000 * (time.perf_counter() - begun))
    times = {name: statistics.median(found) for name, found in samples.items()}
    fastest = min(times, key=lambda name: times[name])
    return "  ".join(
        f"{'->' if name == chosen else ''}{name} {found:.2f}{'*' if name == fastest else ''}"
        for name, found in times.items()
    )


def lines(device: CpuDevice, network: str, batch: int, repeats: int) -> Iterator[str]:
    """All shapes and passes of a network."""
    for geometry in geometries(network, batch):
        arrays = Arrays(device, geometry)
        shape = f"{geometry.H}x{geometry.W}x{geometry.C} {geometry.R}x{geometry.S} K={geometry.K}"
        yield f"{shape}  forward  {compare(device, FORWARD, geometry, arrays.forward, repeats)}"
        yield f"{shape}  data     {compare(device, BACKWARD_DATA, geometry, arrays.backward_data, repeats)}"
        yield f"{shape}  filter   {compare(device, BACKWARD_FILTER, geometry, arrays.backward_filter, repeats)}"


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(MODELS), default="lenet")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    device = open_cpu(arguments.threads)
    for line in lines(device, arguments.network, arguments.batch, arguments.repeats):
        print(line, flush=True)
    device.close()


if __name__ == "__main__":
    main()
