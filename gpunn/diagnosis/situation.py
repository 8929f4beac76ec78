"""What several areas have to know of a machine: is there a GPU, its driver and CuPy, and does anybody want them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from gpunn.diagnosis.finding import Status
from gpunn.diagnosis.machine import Machine
from gpunn.diagnosis.running import ProbeError

#: NVIDIA among the makers of PCI devices, and the first byte of the class of display controllers.
_NVIDIA, _DISPLAY = "0x10de", "0x03"
#: Modules of gpunn that probes import, and the kernels' own.
FOUNDATION = ("gpunn.kernels", "gpunn.backend.cuda", "gpunn.data.decoding")
#: What gpunn has extras for.
OLDEST_CUDA, NEWEST_CUDA = 12, 13
_PACKAGE = re.compile(r"cupy-cuda(\d\d)")


@dataclass(frozen=True)
class Gpu:
    """One GPU as the driver shows it: compute capability such as 90, bytes of memory, address on the PCI bus."""

    name: str
    capability: int
    memory: int
    address: str


@dataclass(frozen=True)
class Driver:
    """libcuda.

    Attributes:
        missing: why the library does not load; None where it does.
        status: what cuInit returned; None where the library crashed or hung.
        version: of CUDA that it knows, such as 12040; 0 where it did not say.
    """

    missing: str | None = None
    status: int | None = None
    version: int = 0
    gpus: tuple[Gpu, ...] = ()
    failure: str = ""


@dataclass(frozen=True)
class Cupy:
    """The CuPy packages.

    Attributes:
        missing: files of a single package that are not there.
        refused: why a single package does not load.
        runtime: the CUDA version that it was built for, such as 13000.
    """

    packages: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: str | None = None
    version: str = ""
    runtime: int = 0

    @property
    def cuda(self) -> int:
        """The CUDA of a single package: 13 of cupy-cuda13x, 11 of cupy-cuda118; that of the runtime for cupy alone."""
        return _cuda_of(self.packages[0]) or self.runtime // 1000


@dataclass(frozen=True)
class Situation:
    """A machine and what was asked of it.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:1" or "emulator".
        broken: why gpunn's own modules do not load; None where they do.
    """

    machine: Machine
    device: str
    driver: Driver
    cupy: Cupy
    broken: str | None = None

    @cached_property
    def cards(self) -> int:
        """NVIDIA's GPUs on the PCI bus, which shows them without any driver."""
        devices = (self.machine.root / "sys/bus/pci/devices").glob("*")
        return sum(_word(each / "vendor") == _NVIDIA and _word(each / "class").startswith(_DISPLAY) for each in devices)

    @cached_property
    def is_container(self) -> bool:
        """Docker, Podman and Kubernetes leave these marks."""
        root = self.machine.root
        marked = (root / ".dockerenv").exists() or (root / "run/.containerenv").exists()
        return marked or "KUBERNETES_SERVICE_HOST" in self.machine.environment

    @cached_property
    def has_docker(self) -> bool:
        """Whether a container can be started from here."""
        return self.machine.program("docker") is not None

    @cached_property
    def is_wsl(self) -> bool:
        """Linux within Windows, where the driver is Windows's."""
        return "microsoft" in self.machine.text("proc/version").lower()

    @property
    def has_kernel_module(self) -> bool:
        """Whether the running kernel has NVIDIA's module."""
        return bool(self.machine.text("proc/driver/nvidia/version"))

    @property
    def has_working_gpu(self) -> bool:
        """Whether the driver shows one."""
        return bool(self.driver.gpus)

    @property
    def has_any_gpu(self) -> bool:
        """Whether anything hints at one."""
        return self.has_working_gpu or self.cards > 0 or self.has_kernel_module

    @property
    def is_cuda_asked_for(self) -> bool:
        """Whether the GPU was named."""
        return self.device.startswith("cuda")

    @property
    def uses_gpus(self) -> bool:
        """Whether GPUs matter at all."""
        return self.device == "auto" or self.is_cuda_asked_for

    @property
    def number(self) -> int:
        """Of the GPU that is meant."""
        return int(self.device.partition(":")[2] or 0)

    @property
    def can_run_kernels(self) -> bool:
        """Whether nothing that is known so far keeps them from running."""
        cupy, driver = self.cupy, self.driver
        if len(cupy.packages) != 1 or cupy.refused is not None or self.number >= len(driver.gpus):
            return False
        return driver.version // 1000 >= max(OLDEST_CUDA, cupy.cuda)

    @property
    def newest_cupy(self) -> int:
        """The newest CUDA among the CuPy packages by name; gpunn's oldest where there is none."""
        return max([OLDEST_CUDA, *map(_cuda_of, self.cupy.packages)])

    @property
    def severity(self) -> Status:
        """Of what keeps a GPU from being used: a problem to who asked for it, by name or by installing CuPy."""
        return "problem" if self.is_cuda_asked_for or self.cupy.packages else "warning"

    @property
    def extra(self) -> str:
        """The extra for the driver; where none says, for the newest CUDA that somebody chose or that there is."""
        known = self.driver.version // 1000 or (self.newest_cupy if self.cupy.packages else NEWEST_CUDA)
        return f"cuda{min(max(known, OLDEST_CUDA), NEWEST_CUDA)}"


def survey(machine: Machine, device: str) -> Situation:
    """Ask for what all areas share."""
    with ThreadPoolExecutor() as pool:
        driver = pool.submit(_driver, machine)
        cupy = pool.submit(_cupy, machine)
        broken = pool.submit(_broken, machine)
        return Situation(machine, device, driver.result(), cupy.result(), broken.result())


def _broken(machine: Machine) -> str | None:
    try:
        failed = machine.ask("libraries", *FOUNDATION)["failed"]
    except (ProbeError, OSError) as error:
        return str(error)
    return next(iter(failed.values()), None)


def _driver(machine: Machine) -> Driver:
    try:
        found = machine.ask("driver")
    except (ProbeError, OSError) as error:
        return Driver(failure=str(error))
    if "missing" in found:
        return Driver(missing=found["missing"])
    return Driver(None, found["status"], found["version"], tuple(Gpu(**gpu) for gpu in found["gpus"]))


def _cupy(machine: Machine) -> Cupy:
    try:
        found = machine.ask("cupy_packages")
    except (ProbeError, OSError):
        # gpunn's own modules do not load, which is a finding of its own.
        return Cupy()
    cupy = Cupy(tuple(found["packages"]), missing=tuple(found["missing"]))
    if len(cupy.packages) != 1:
        return cupy
    try:
        loaded = machine.ask("cupy")
    except (ProbeError, OSError) as error:
        return replace(cupy, refused=str(error))
    return replace(cupy, version=loaded["version"], runtime=loaded["runtime"])


def _cuda_of(package: str) -> int:
    match = _PACKAGE.match(package)
    return int(match[1]) if match else 0


def _word(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
