"""The image for NVIDIA GPUs on a machine without one: it is complete, and says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.container.building import Image
from tests.container.sandbox import Sandbox


@pytest.fixture
def cuda_sandbox(cuda_image: Image, tmp_path: Path) -> Sandbox:
    """Its containers, with new volumes."""
    return Sandbox.of(cuda_image, tmp_path)


def test_cupy_is_in_it_and_the_driver_is_what_it_lacks(
    cuda_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\ntarget cuda: {cuda_sandbox.image.size / 1e6:.0f} MB, its base included")
    done = cuda_sandbox.run("train", "--device", "cuda", "--data", "fashion-mnist")
    assert done.returncode == 4, done.stdout
    assert "start it with --gpus all" in done.stdout


def test_it_compiles_kernels_without_a_gpu(cuda_sandbox: Sandbox) -> None:
    done = cuda_sandbox.run("kernels", "--kernel", "relu_forward", "--architecture", "90")
    assert done.returncode == 0, done.stdout
    assert "relu_forward" in done.stdout


def test_it_trains_on_the_cpu_as_well(cuda_sandbox: Sandbox) -> None:
    short = ("--model", "mlp", "--epochs", "1", "--batch-size", "500")
    done = cuda_sandbox.run("train", "--data", "fashion-mnist", *short)
    assert done.returncode == 0, done.stdout
