"""A GPU's memory, mode, clocks and kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from gpunn.diagnosis.running import Ended
from tests.diagnosis.machines import H100, Made, failing

IDLE = {
    "memory.free": "80000",
    "memory.total": "81559",
    "compute_mode": "Default",
    "driver_version": "580.65.06",
    "clocks.sm": "345",
    "clocks.max.sm": "1980",
    "temperature.gpu": "31",
    "clocks_event_reasons.active": "0x0000000000000001",
}


def nvidia_smi(**changes: str | None) -> Callable[[Sequence[str]], Ended]:
    """The program: a field that it does not know makes it fail, as the real one does."""
    known = {name: value for name, value in (IDLE | changes).items() if value is not None}

    def run(command: Sequence[str]) -> Ended:
        (fields,) = (part.removeprefix("--query-gpu=") for part in command if part.startswith("--query-gpu="))
        assert f"--id={H100['address']}" in command
        if not set(fields.split(",")) <= set(known):
            return Ended(2, 'Field "x" is not a valid field to query.\n')
        return Ended(0, ", ".join(known[name] for name in fields.split(",")) + "\n")

    return run


@pytest.fixture
def gpu(made: Made) -> Made:
    made.driver()
    made.cupy("cupy-cuda13x")
    made.program("nvidia-smi", nvidia_smi())
    return made


def test_an_idle_gpu(gpu: Made) -> None:
    assert gpu.found("GPU memory").text == "78.1 of 79.6 GiB are free; driver 580.65.06"
    assert gpu.found("GPU clocks").text == "345 of 1980 MHz at 31 °C; nothing holds them down"
    assert {gpu.found("GPU memory").status, gpu.found("GPU clocks").status} == {"ok"}


def test_memory_that_others_hold(gpu: Made) -> None:
    gpu.program("nvidia-smi", nvidia_smi(**{"memory.free": "500"}))
    found = gpu.found("GPU memory")
    assert found.status == "warning"
    assert "0.5 of 79.6 GiB are free" in found.text
    assert found.remedy is not None
    assert "--query-compute-apps=pid,process_name,used_memory" in found.remedy


def test_a_mode_that_lets_nobody_in(gpu: Made) -> None:
    gpu.program("nvidia-smi", nvidia_smi(compute_mode="Prohibited"))
    found = gpu.found("GPU mode")
    assert found.status == "problem"
    assert found.remedy == "sudo nvidia-smi --id=00000000:01:00.0 --compute-mode=DEFAULT"


@pytest.mark.parametrize(
    ("reasons", "status", "words"),
    [
        ("0x0000000000000000", "ok", "nothing holds them down"),
        ("0x0000000000000004", "ok", "nothing holds them down"),
        ("0x0000000000000020", "warning", "held down by heat"),
        ("0x0000000000000048", "warning", "a hardware slowdown and heat, by the hardware"),
        ("0x0000000000000080", "warning", "power brake"),
        ("0x0000000000000002", "warning", "as somebody has set them"),
        ("[N/A]", "ok", "nothing holds them down"),
    ],
)
def test_clocks_that_are_held_down(gpu: Made, reasons: str, status: str, words: str) -> None:
    gpu.program("nvidia-smi", nvidia_smi(**{"clocks_event_reasons.active": reasons}))
    found = gpu.found("GPU clocks")
    assert found.status == status
    assert words in found.text
    assert (found.remedy is None) == (status == "ok")


def test_older_drivers_call_the_reasons_something_else(gpu: Made) -> None:
    older = {"clocks_event_reasons.active": None, "clocks_throttle_reasons.active": "0x0000000000000020"}
    gpu.program("nvidia-smi", nvidia_smi(**older))
    assert "heat" in gpu.found("GPU clocks").text


@pytest.mark.parametrize("ended", [None, Ended(None, ""), Ended(9, "NVIDIA-SMI has failed\n"), Ended(0, "")])
def test_a_tool_that_says_nothing(gpu: Made, ended: Ended | None) -> None:
    gpu.program("nvidia-smi", lambda command: ended)
    assert gpu.found("GPU memory").status == "ok"
    assert "GPU clocks" not in {each.subject for each in gpu.findings()}


def test_kernels_that_compute_what_is_wrong(gpu: Made) -> None:
    gpu.answers["gpu"] = {
        "failures": ["multiply of bfloat16: 3 of 128 elements are wrong", "widen of float"],
        "free": 0,
    }
    found = gpu.found("GPU kernels")
    assert found.status == "problem"
    assert "multiply of bfloat16: 3 of 128 elements are wrong; and 1 more" in found.text


def test_kernels_that_do_not_run(gpu: Made) -> None:
    gpu.answers["gpu"] = failing("cuda:1 was lost while opening it (cudaErrorDevicesUnavailable: busy)")
    gpu.driver(gpus=[H100, H100])
    found = gpu.found("GPU kernels", "cuda:1")
    assert found.status == "problem"
    assert "cudaErrorDevicesUnavailable" in found.text
    assert ("gpu", "1") in gpu.asked


@pytest.mark.parametrize("version", [12040, 11080])
def test_no_kernel_is_run_where_cupy_is_newer_than_the_driver(gpu: Made, version: int) -> None:
    gpu.driver(version)
    assert "GPU kernels" not in {each.subject for each in gpu.findings()}


def test_no_kernel_is_run_on_a_gpu_that_is_not_there(gpu: Made) -> None:
    assert "GPU kernels" not in {each.subject for each in gpu.findings("cuda:1")}
    assert not any(name == "gpu" for name, *_ in gpu.asked)


@pytest.mark.parametrize("packages", [(), ("cupy-cuda12x", "cupy-cuda13x")])
def test_no_kernel_is_run_without_a_single_cupy(gpu: Made, packages: tuple[str, ...]) -> None:
    gpu.cupy(*packages)
    assert "GPU kernels" not in {each.subject for each in gpu.findings()}
    assert not any(name == "gpu" for name, *_ in gpu.asked)
