from __future__ import annotations

import re

from benchmarks.cpu_convolutions import geometries, lines
from gpunn.backend.cpu.device import open_cpu


def test_every_shape_and_pass_has_a_line_with_a_fastest_and_a_chosen_algorithm() -> None:
    device = open_cpu(1)
    found = list(lines(device, "lenet", batch=2, repeats=1))
    device.close()
    assert [line.split("  ")[1].strip() for line in found] == ["forward", "data", "filter"] * 2
    for line in found:
        assert line.count("->") == line.count("*") == 1
        assert len(re.findall(r" \d+\.\d\d", line)) >= 2


def test_a_shape_is_timed_once() -> None:
    assert len(geometries("vgg16", 1)) == 9
