"""The primitives of kernels/primitives*.cuh, to the bit, and the instructions they become."""

from __future__ import annotations

import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.self_test import FILE, primitive_failures
from gpunn.backend.cuda.source import packaged_source


def test_every_primitive_is_right(every_way: CudaDevice) -> None:
    assert primitive_failures(every_way) == []


def test_kernels_of_the_self_test_are_all_launched(fast: CudaDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    launched = set()
    launch = fast.launcher.launch_from
    monkeypatch.setattr(fast.launcher, "launch_from", lambda *a, **n: (launched.add(a[1]), launch(*a, **n)))
    primitive_failures(fast)
    assert launched == set(packaged_source(FILE).signatures)
