"""What cuInit's errors mean, and what mends each (CUDA Driver API, CUresult)."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from gpunn.diagnosis.driver_commands import install_driver, with_the_gpu
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.situation import Situation

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_NODES = ("dev/nvidiactl", "dev/nvidia0")
_UNIFIED_MEMORY = "dev/nvidia-uvm"


def refusal(situation: Situation, status: int) -> Finding:
    """The finding about a driver that does not start, or shows no GPU."""
    text, remedy = _KNOWN.get(status, _other)(situation)
    return Finding("GPU", situation.severity, f"{text} (cuInit: {status})" if status != 100 else text, remedy)


def _no_device(situation: Situation) -> tuple[str, str | None]:
    visible = situation.machine.environment.get(_VISIBLE)
    if visible is not None:
        return f"the driver shows no GPU, for {_VISIBLE} is {visible!r}", f"unset {_VISIBLE}"
    lacking = _lacking(situation, _NODES)
    if situation.is_container and lacking:
        return with_the_gpu(situation, f"the driver shows no GPU, for the container has no /{lacking[0]}")
    if not situation.has_kernel_module and not situation.is_wsl:
        if not situation.cards:
            return "the driver is installed, but there is no NVIDIA GPU", "gpunn train --device cpu"
        return "the driver's kernel module is not loaded", "sudo modprobe nvidia && sudo modprobe nvidia_uvm"
    if lacking:
        return f"the driver shows no GPU, for /{lacking[0]} is missing", "sudo nvidia-modprobe -c 0 -u"
    if closed := _closed(situation, _NODES):
        return f"the driver shows no GPU, for this user may not open /{closed[0]}", 'sudo usermod -aG video "$USER"'
    return "the driver shows no GPU, though its kernel module is loaded", "sudo nvidia-smi --gpu-reset"


def _unknown(situation: Situation) -> tuple[str, str | None]:
    if _lacking(situation, (_UNIFIED_MEMORY,)):
        text = f"CUDA does not start, for /{_UNIFIED_MEMORY} is missing"
        return with_the_gpu(situation, text) if situation.is_container else (text, "sudo nvidia-modprobe -c 0 -u")
    text = "CUDA does not start, as happens after the machine has slept"
    return text, "sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm"


def _mismatch(situation: Situation) -> tuple[str, str]:
    """The library and the kernel module are of different versions."""
    if remedy := _without_compatibility(situation):
        return "the driver's library is not that of the kernel module, but a compatibility package's", remedy
    text = "the driver was updated, and the kernel still runs its former module"
    return text, "sudo reboot" if not situation.is_container else "sudo reboot   # the host of this container"


def _compatibility(situation: Situation) -> tuple[str, str]:
    remedy = _without_compatibility(situation) or "sudo apt-get remove 'cuda-compat-*'"
    return "CUDA's forward compatibility package is installed, and this GPU does not support it", remedy


def _not_ready(situation: Situation) -> tuple[str, str]:
    return "the GPUs wait for the fabric manager of their switches", "sudo systemctl start nvidia-fabricmanager"


def _stub(situation: Situation) -> tuple[str, str]:
    text = "the libcuda that is found is the toolkit's stub, which serves linking only"
    return text, _library_path_without(situation, "stubs") or install_driver(situation)


def _out_of_memory(situation: Situation) -> tuple[str, str]:
    return "CUDA does not start for want of memory", "nvidia-smi   # shows who holds it"


def _refused_by_system(situation: Situation) -> tuple[str, str]:
    if closed := _closed(situation, (*_NODES, _UNIFIED_MEMORY)):
        return f"CUDA does not start: this user may not open /{closed[0]}", 'sudo usermod -aG video "$USER"'
    return _other(situation)


def _other(situation: Situation) -> tuple[str, str]:
    return "CUDA does not start", "nvidia-smi   # says more; where it fails too: sudo reboot"


_KNOWN: dict[int, Callable[[Situation], tuple[str, str | None]]] = {
    2: _out_of_memory,
    34: _stub,
    100: _no_device,
    304: _refused_by_system,
    802: _not_ready,
    803: _mismatch,
    804: _compatibility,
    999: _unknown,
}


def _lacking(situation: Situation, nodes: tuple[str, ...]) -> list[str]:
    """Device files that are missing; Linux within Windows has others."""
    return [] if situation.is_wsl else [node for node in nodes if not (situation.machine.root / node).exists()]


def _closed(situation: Situation, nodes: tuple[str, ...]) -> list[str]:
    return [node for node in nodes if _is_closed(situation.machine.root / node)]


def _is_closed(node: Path) -> bool:
    try:
        with node.open("rb+", buffering=0):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def _without_compatibility(situation: Situation) -> str | None:
    return _library_path_without(situation, "compat")


def _library_path_without(situation: Situation, word: str) -> str | None:
    """The command that takes folders with that word out of LD_LIBRARY_PATH; None where there is none."""
    parts = situation.machine.environment.get("LD_LIBRARY_PATH", "").split(":")
    kept = [part for part in parts if part and word not in part]
    if len(kept) == len([part for part in parts if part]):
        return None
    return f"export LD_LIBRARY_PATH={shlex.quote(':'.join(kept))}"
