"""Every algorithm of the CPU's convolutions on the shapes of networks, interleaved, and the one that is chosen.

    python -m benchmarks.cpu_convolutions --network vgg16 --batch 8 --threads 2
    python -m benchmarks.cpu_convolutions --geometry 32x56x56x64,3x3,128,stride=2,padding=1 --geometry residual
    python -m benchmarks.cpu_convolutions --geometry depthwise --batch 1 --algorithm direct

A line for each shape and pass: milliseconds of every algorithm that serves it, the median of some runs, the fastest
marked by a star and the chosen one by an arrow. The last line tells how often the chosen one is the fastest or within
a tenth of it, and what is lost in all and at worst. So the chooser's rule of thumb is held against the clock.

A geometry is NxHxWxC (or HxWxC, of --batch images), the filter's RxS, the number of filters, and what differs from
1, 1, 0 and 1: stride, dilation, padding, groups. Or the name of a list of them: residual, bottleneck, depthwise,
grouped, odd.

What did not pay and is not there: narrow groups joined to wider ones with zeros between (K-major im2col, whose runs are
rows, is faster); K-major windows kept by the phase of the stride, for long runs (a tenth of a layer at eight images,
nothing at one); depthwise taps by np.multiply and np.add in pieces that fit a cache (einsum passes over memory once).
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.backend.attributes import RELU, ConvolutionAlgorithm
from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    ForwardCall,
)
from gpunn.backend.cpu.convolution_algorithms.choosing import ALGORITHMS, in_order
from gpunn.backend.cpu.device import CpuDevice, open_cpu
from gpunn.errors import UsageError
from gpunn.geometry import Conv2dGeometry, Padding, Pair, Shape
from gpunn.layers.convolution import Conv2d
from gpunn.models import MODELS, model

FLOAT = np.dtype(np.float32)
#: A chosen algorithm within this of the fastest is as good.
CLOSE = 1.1
#: An algorithm that took this many times the fastest once is not run again: its place is clear.
HOPELESS = 4.0

#: Layers of networks that gpunn does not ship.
LISTS = {
    "residual": (
        "224x224x3,7x7,64,stride=2,padding=3",
        "56x56x64,3x3,64,padding=1",
        "56x56x64,3x3,128,stride=2,padding=1",
        "56x56x64,1x1,128,stride=2",
        "28x28x128,3x3,128,padding=1",
        "28x28x128,3x3,256,stride=2,padding=1",
        "14x14x256,3x3,256,padding=1",
        "14x14x256,1x1,512,stride=2",
        "7x7x512,3x3,512,padding=1",
        "32x32x16,3x3,16,padding=1",
        "32x32x16,3x3,32,stride=2,padding=1",
    ),
    "bottleneck": (
        "56x56x64,1x1,64",
        "56x56x64,1x1,256",
        "56x56x256,1x1,64",
        "28x28x512,1x1,128",
        "14x14x256,1x1,1024",
        "7x7x2048,1x1,512",
        "56x56x256,1x1,512,stride=2",
    ),
    "depthwise": (
        "112x112x32,3x3,32,padding=1,groups=32",
        "112x112x64,3x3,64,stride=2,padding=1,groups=64",
        "28x28x256,3x3,256,padding=1,groups=256",
        "14x14x512,3x3,512,padding=1,groups=512",
        "7x7x1024,3x3,1024,padding=1,groups=1024",
        "14x14x240,5x5,240,padding=2,groups=240",
    ),
    "grouped": (
        "27x27x96,5x5,256,padding=2,groups=2",
        "56x56x128,3x3,128,padding=1,groups=32",
        "14x14x512,3x3,512,stride=2,padding=1,groups=32",
        "28x28x240,1x1,240,groups=3",
    ),
    "odd": (
        "17x23x37,3x3,41,padding=1",
        "17x23x37,5x5,19,padding=2",
        "31x29x5,3x3,7",
        "45x45x12,7x7,30,stride=3",
        "19x19x24,3x3,50,dilation=2",
        "2x2x512,3x3,512,padding=1",
        "1x1x512,3x3,512,padding=1",
        "3x3x256,3x3,384,padding=1",
        "4x4x128,4x4,256",
        "64x64x4,4x4,64,stride=4",
        "96x96x6,5x5,32,stride=2,padding=2",
        "13x1x64,3x1,64",
    ),
}


def of_network(name: str, batch: int) -> list[Conv2dGeometry]:
    """The different convolutions of a network."""
    chosen = model(name)
    network = chosen.build(chosen.image, chosen.classes)
    found = [
        node.layer.geometry(batch, node.inputs[0].shape) for node in network.nodes if isinstance(node.layer, Conv2d)
    ]
    return list(dict.fromkeys(found))


def parse(text: str, batch: int) -> list[Conv2dGeometry]:
    """The geometries that a word of the command line means.

    Raises:
        ValueError: when it means none.
        UsageError: when its numbers are those of no convolution.
    """
    if text in LISTS:
        return [geometry for one in LISTS[text] for geometry in parse(one, batch)]
    written = re.fullmatch(r"(\d+(?:x\d+){2,3}),(\d+x\d+),(\d+)((?:,[^,]+)*)", text)
    if written is None:
        raise ValueError(f"{text!r} is neither one of {', '.join(LISTS)} nor like 56x56x64,3x3,128,stride=2,padding=1")
    image, window, filters, listed = written.groups()
    options = {"stride": 1, "dilation": 1, "padding": 0, "groups": 1}
    for other in filter(None, listed.split(",")):
        found = re.fullmatch(r"(\w+)=(\d+)", other)
        if found is None or found[1] not in options:
            raise ValueError(f"{other!r} in {text!r} is none of {', '.join(options)} with a number")
        options[found[1]] = int(found[2])
    sizes = [int(size) for size in image.split("x")]
    N, H, W, C = sizes if len(sizes) == 4 else (batch, *sizes)
    R, S = (int(size) for size in window.split("x"))
    stride, dilation, side = options["stride"], options["dilation"], options["padding"]
    return [
        Conv2dGeometry(
            N,
            H,
            W,
            C,
            int(filters),
            R,
            S,
            Pair(stride, stride),
            Padding(side, side, side, side),
            Pair(dilation, dilation),
            options["groups"],
        )
    ]


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


@dataclass(frozen=True)
class Comparison:
    """Milliseconds of each algorithm on one shape and pass, and the one that is chosen."""

    what: str
    times: dict[str, float]
    chosen: str

    @property
    def fastest(self) -> str:
        """The algorithm that took least."""
        return min(self.times, key=lambda name: self.times[name])

    @property
    def loss(self) -> float:
        """Time of the chosen one over that of the fastest."""
        return self.times[self.chosen] / self.times[self.fastest]

    def __str__(self) -> str:
        marked = (
            f"{'->' if name == self.chosen else ''}{name} {found:.2f}{'*' if name == self.fastest else ''}"
            for name, found in sorted(self.times.items(), key=lambda one: one[1])
        )
        return f"{self.what}  {'  '.join(marked)}"


def compare(
    device: CpuDevice,
    algorithms: Sequence[Algorithm[Any]],
    geometry: Conv2dGeometry,
    call: Callable[[np.ndarray], Any],
    repeats: int,
) -> dict[str, float]:
    """Median milliseconds of each algorithm, run in turn."""
    workspace = device.allocate(max(one.workspace(device, geometry, FLOAT) for one in algorithms))
    task = call(workspace)
    samples: dict[str, list[float]] = {one.name: [] for one in algorithms}
    running = list(algorithms)
    for turn in range(repeats + 1):
        for one in running:
            begun = time.perf_counter()
            one.run(device, task)
            samples[one.name].append(1000 * (time.perf_counter() - begun))
        if turn == 1:
            best = min(samples[one.name][1] for one in running)
            running = [one for one in running if samples[one.name][1] < HOPELESS * best]
    return {name: statistics.median(found[1:]) for name, found in samples.items()}


def comparisons(
    device: CpuDevice, geometries: Sequence[Conv2dGeometry], asked: ConvolutionAlgorithm, repeats: int
) -> Iterator[Comparison]:
    """All shapes and passes."""
    for geometry in geometries:
        arrays = Arrays(device, geometry)
        calls = (arrays.forward, arrays.backward_data, arrays.backward_filter)
        for (primitive, algorithms), call in zip(ALGORITHMS.items(), calls, strict=True):
            serving = [one for one in algorithms if one.serves(geometry) and (one.exact or asked != "direct")]
            chosen = in_order(algorithms, geometry, asked)[0].name
            times = compare(device, serving, geometry, call, repeats)
            yield Comparison(f"{describe(geometry)}  {primitive.removeprefix('convolution2d_'):15}", times, chosen)


def describe(geometry: Conv2dGeometry) -> str:
    """As the command line takes it."""
    text = f"{geometry.N}x{geometry.H}x{geometry.W}x{geometry.C},{geometry.R}x{geometry.S},{geometry.K}"
    others = {"stride": geometry.stride.rows, "dilation": geometry.dilation.rows, "groups": geometry.groups}
    text += "".join(f",{name}={value}" for name, value in others.items() if value > 1)
    return text + (f",padding={geometry.padding.top}" if geometry.padding.top else "")


def summary(found: Sequence[Comparison]) -> str:
    """How good the choices were."""
    worst = max(found, key=lambda one: one.loss)
    lost = sum(one.times[one.chosen] for one in found) / sum(one.times[one.fastest] for one in found)
    return (
        f"{len(found)} choices: {sum(one.chosen == one.fastest for one in found)} fastest, "
        f"{sum(one.loss <= CLOSE for one in found)} within 10% of it; {100 * (lost - 1):.1f}% of the time is lost in "
        f"all; at worst {worst.loss:.2f} times the fastest: {worst}"
    )


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(MODELS), action="append", default=[])
    parser.add_argument("--geometry", action="append", default=[], help="see above; may be given several times")
    parser.add_argument("--batch", type=int, default=32, help="images of what names no number; 32 by default")
    parser.add_argument("--threads", type=int, default=2, help="2 by default")
    parser.add_argument("--repeats", type=int, default=5, help="runs after a warm-up; 5 by default")
    parser.add_argument("--algorithm", choices=("auto", "direct"), default="auto")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats {arguments.repeats} leave nothing to compare; ask for 1 or more")
    try:
        geometries = [one for name in arguments.network for one in of_network(name, arguments.batch)]
        geometries += [one for text in arguments.geometry for one in parse(text, arguments.batch)]
        device = open_cpu(arguments.threads)
    except (ValueError, UsageError) as error:
        parser.error(str(error))
    if not geometries:
        parser.error("name a --network or a --geometry")
    found = []
    for one in comparisons(device, geometries, arguments.algorithm, arguments.repeats):
        found.append(one)
        print(one, flush=True)
    print(summary(found))
    device.close()


if __name__ == "__main__":
    main()
