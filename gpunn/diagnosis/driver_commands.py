"""Commands that bring NVIDIA's driver: by the distribution, in a container, and in Linux within Windows."""

from __future__ import annotations

from gpunn.diagnosis.situation import Situation

#: By the ID and ID_LIKE of os-release.
_INSTALL = {
    "ubuntu": "sudo ubuntu-drivers install && sudo reboot",
    "debian": "sudo apt-get install nvidia-driver && sudo reboot",
    "fedora": "sudo dnf install akmod-nvidia && sudo reboot",
    "rhel": "sudo dnf module install nvidia-driver:latest-dkms && sudo reboot",
    "arch": "sudo pacman -S nvidia && sudo reboot",
}
IN_A_CONTAINER = "docker run --gpus all gpunn:cuda"


def with_the_gpu(situation: Situation, text: str) -> tuple[str, str | None]:
    """What is wrong with a container that was started without the GPU, and how it is started with it: by a command
    where there is Docker, in words elsewhere."""
    if situation.has_docker:
        return text, IN_A_CONTAINER
    return f"{text}; start it from its host with --gpus all", None


def install_driver(situation: Situation) -> str:
    """Install or update it. A container has that of its host."""
    if situation.is_container:
        return f"{_INSTALL['ubuntu']}   # on the host of this container; or see https://www.nvidia.com/drivers"
    if situation.is_wsl:
        return "wsl.exe --update   # and install the driver of https://www.nvidia.com/drivers in Windows"
    kinds = _distribution(situation.machine.text("etc/os-release"))
    known = next((_INSTALL[kind] for kind in kinds if kind in _INSTALL), None)
    return known or "xdg-open https://www.nvidia.com/drivers"


def _distribution(release: str) -> list[str]:
    """ID, then ID_LIKE."""
    entries = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    return [kind for key in ("ID", "ID_LIKE") for kind in entries.get(key, "").strip('"').split()]
