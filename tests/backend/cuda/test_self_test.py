"""The self test of primitives as a GPU would run it: through the GPU's memory, stream and launches."""

from __future__ import annotations

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.self_test import primitive_failures


def test_self_test_runs_on_a_gpu(fake_device: CudaDevice) -> None:
    assert primitive_failures(fake_device) == []
