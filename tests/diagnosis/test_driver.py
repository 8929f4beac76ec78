"""The driver on machines of all kinds: what is wrong, and the command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.diagnosis.machines import H100, Made, failing

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n'
UBUNTU = "ID=ubuntu\nID_LIKE=debian\n"
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'


def test_a_missing_gpu_is_a_problem_to_who_asked_for_it(made: Made) -> None:
    found = made.found("GPU", "cuda")
    assert (found.status, found.remedy) == ("problem", "gpunn train --device cpu")


@pytest.mark.parametrize(
    ("release", "remedy"),
    [
        (DEBIAN, "sudo apt-get install nvidia-driver && sudo reboot"),
        (UBUNTU, "sudo ubuntu-drivers install && sudo reboot"),
        (MINT, "sudo ubuntu-drivers install && sudo reboot"),
        ("ID=fedora\n", "sudo dnf install akmod-nvidia && sudo reboot"),
        ("ID=plan9\n", "xdg-open https://www.nvidia.com/drivers"),
        ("", "xdg-open https://www.nvidia.com/drivers"),
    ],
)
def test_a_card_without_a_driver(made: Made, release: str, remedy: str) -> None:
    made.card()
    made.file("etc/os-release", release)
    found = made.found("GPU")
    assert (found.status, found.text) == ("warning", "an NVIDIA GPU is in this machine, but no driver")
    assert found.remedy == remedy


def test_what_keeps_a_gpu_unused_is_a_problem_where_cupy_or_the_option_ask_for_it(made: Made) -> None:
    made.card()
    assert made.found("GPU").status == "warning"
    assert made.found("GPU", "cuda").status == "problem"
    made.cupy("cupy-cuda13x")
    assert made.found("GPU").status == "problem"


def test_a_container_without_the_gpu_of_its_host(made: Made) -> None:
    made.container()
    made.card(driver_module=True)
    without_docker = made.found("GPU")
    assert without_docker.text.endswith("this container was started without it; start it from its host with --gpus all")
    assert without_docker.remedy is None
    made.program("docker")
    found = made.found("GPU")
    assert found.text.endswith("this container was started without it")
    assert found.remedy == "docker run --gpus all gpunn:cuda"


def test_a_container_with_the_gpu_but_without_the_libraries(made: Made) -> None:
    made.container()
    made.card(driver_module=True)
    made.program("docker")
    made.file("dev/nvidiactl")
    made.environment["NVIDIA_DRIVER_CAPABILITIES"] = "utility"
    found = made.found("GPU")
    assert "NVIDIA_DRIVER_CAPABILITIES=utility" in found.text
    assert found.remedy is not None
    assert "-e NVIDIA_DRIVER_CAPABILITIES=compute,utility" in found.remedy


def test_a_container_on_a_machine_without_a_gpu_is_fine(made: Made) -> None:
    made.container()
    assert (made.found("GPU").status, made.found("GPU").remedy) == ("ok", None)
    assert "docker" not in made.found("GPU").text
    assert made.found("GPU", "cuda").remedy == "gpunn train --device cpu"
    made.program("docker")
    assert made.found("GPU").text.endswith("if its host has one: docker run --gpus all gpunn:cuda")
    assert made.found("GPU", "cuda").remedy == "docker run --gpus all gpunn:cuda"


def test_a_loaded_module_without_its_library(made: Made) -> None:
    made.card(driver_module=True)
    made.file("etc/os-release", DEBIAN)
    assert "libcuda.so.1 is not found" in made.found("GPU").text
    assert made.found("GPU").remedy == "sudo apt-get install nvidia-driver && sudo reboot"


def test_linux_within_windows(made: Made) -> None:
    made.file("proc/version", "Linux version 5.15.90.1-microsoft-standard-WSL2\n")
    made.file("usr/lib/wsl/lib/libcuda.so.1")
    assert made.found("GPU").remedy == "export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH"


@pytest.mark.parametrize(("version", "known"), [(11040, "CUDA 11.4"), (10020, "CUDA 10.2")])
def test_a_driver_too_old_for_any_gpunn(made: Made, version: int, known: str) -> None:
    made.driver(version)
    made.cupy("cupy-cuda12x")
    made.file("etc/os-release", UBUNTU)
    found = made.found("GPU")
    assert found.status == "problem"
    assert known in found.text
    assert "525.60.13" in found.text
    assert found.remedy == "sudo ubuntu-drivers install && sudo reboot"


@pytest.mark.parametrize(
    ("status", "words", "remedy"),
    [
        (2, "memory", "nvidia-smi"),
        (34, "stub", "xdg-open"),
        (802, "fabric manager", "sudo systemctl start nvidia-fabricmanager"),
        (803, "updated", "sudo reboot"),
        (804, "forward compatibility", "sudo apt-get remove 'cuda-compat-*'"),
        (999, "slept", "sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm"),
        (12345, "does not start", "nvidia-smi"),
    ],
)
def test_a_driver_that_does_not_start(made: Made, status: int, words: str, remedy: str) -> None:
    made.driver(status=status)
    found = made.found("GPU", "cuda")
    assert found.status == "problem"
    assert words in found.text
    assert str(status) in found.text
    assert found.remedy is not None
    assert found.remedy.startswith(remedy)


def test_libraries_that_the_loader_finds_before_the_driver_s(made: Made) -> None:
    made.driver(status=803)
    made.environment["LD_LIBRARY_PATH"] = "/usr/local/cuda/compat:/opt/lib"
    assert made.found("GPU").remedy == "export LD_LIBRARY_PATH=/opt/lib"
    made.environment["LD_LIBRARY_PATH"] = "/opt/lib:/usr/local/cuda/lib64/stubs"
    assert made.found("GPU").remedy == "sudo reboot"
    made.driver(status=34)
    assert made.found("GPU").remedy == "export LD_LIBRARY_PATH=/opt/lib"


@pytest.mark.parametrize("visible", ["", "-1", "7"])
def test_gpus_that_a_variable_hides(made: Made, visible: str) -> None:
    made.driver(status=100)
    made.environment["CUDA_VISIBLE_DEVICES"] = visible
    found = made.found("GPU")
    assert f"CUDA_VISIBLE_DEVICES is {visible!r}" in found.text
    assert found.remedy == "unset CUDA_VISIBLE_DEVICES"


def test_no_device_for_want_of_a_device_file(made: Made) -> None:
    made.driver(status=100)
    (made.root / "dev/nvidia0").unlink()
    assert "/dev/nvidia0 is missing" in made.found("GPU").text
    assert made.found("GPU").remedy == "sudo nvidia-modprobe -c 0 -u"
    made.container()
    assert "start it from its host with --gpus all" in made.found("GPU").text
    made.program("docker")
    assert made.found("GPU").remedy == "docker run --gpus all gpunn:cuda"


@pytest.mark.parametrize(
    ("status", "node", "words"),
    [
        (100, "nvidia0", "the driver shows no GPU, for this user may not open /dev/nvidia0"),
        (304, "nvidia-uvm", "CUDA does not start: this user may not open /dev/nvidia-uvm (cuInit: 304)"),
    ],
)
def test_a_device_file_that_only_others_may_open(
    made: Made, monkeypatch: pytest.MonkeyPatch, status: int, node: str, words: str
) -> None:
    made.driver(status=status)
    real = Path.open

    def refusing(path: Path, *arguments: Any, **options: Any) -> Any:
        """As for root no mode does."""
        if path.name == node:
            raise PermissionError
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    found = made.found("GPU")
    assert (found.text, found.remedy) == (words, 'sudo usermod -aG video "$USER"')


def test_no_device_for_want_of_the_module(made: Made) -> None:
    made.driver(status=100)
    (made.root / "proc/driver/nvidia/version").unlink()
    assert made.found("GPU").remedy == "sudo modprobe nvidia && sudo modprobe nvidia_uvm"


def test_a_driver_on_a_machine_whose_gpu_is_gone(made: Made) -> None:
    made.answers["driver"] = {"status": 100, "version": 13000, "gpus": []}
    found = made.found("GPU", "cuda")
    assert (found.text, found.remedy) == (
        "the driver is installed, but there is no NVIDIA GPU",
        "gpunn train --device cpu",
    )


def test_unified_memory_without_its_device_file(made: Made) -> None:
    made.driver(status=999)
    (made.root / "dev/nvidia-uvm").unlink()
    assert made.found("GPU").remedy == "sudo nvidia-modprobe -c 0 -u"


def test_a_number_that_no_gpu_has(made: Made) -> None:
    made.driver(gpus=[H100, H100])
    found = made.found("GPU", "cuda:2")
    assert (found.status, found.text) == ("problem", "no cuda:2; there is cuda:0 to cuda:1")
    assert made.found("GPU", "cuda:1").status == "ok"


def test_a_driver_that_crashes_who_loads_it(made: Made) -> None:
    made.card()
    made.answers["driver"] = failing("its process was killed by SIGSEGV")
    assert "SIGSEGV" in made.found("GPU").text
