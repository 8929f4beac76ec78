"""Machines of any kind: what probes answer, which programs there are, and a file system in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpunn.diagnosis.examination import examine
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.machine import Machine, Package, Python
from gpunn.diagnosis.running import Ended, ProbeError

NOW = 1_790_000_000.0
SPACE = 2**36
H100 = {"name": "NVIDIA H100", "capability": 90, "memory": 80 * 2**30, "address": "00000000:01:00.0"}
MISSING = "libcuda.so.1: cannot open shared object file"

LIBRARIES = {
    "numpy": "2.4.6",
    "ml_dtypes": "0.6.0",
    "pillow": "13.0.0",
    "safetensors": "0.8.0",
    "tqdm": "4.70.1",
    "threadpoolctl": "3.8.0",
    "typer": "0.29.2",
    "pydantic": "2.14.3",
    "matplotlib": "3.11.2",
}

Answer = Mapping[str, Any] | Exception | Callable[..., Mapping[str, Any]]


def healthy() -> dict[str, Answer]:
    """The probes' answers on a machine without a GPU."""
    return {
        "libraries": {"failed": {}},
        "blas": {"numpy": "2.4.6", "name": "openblas", "version": "0.3.31", "threads": 2, "flops": 9e10},
        "driver": {"missing": MISSING},
        "cupy_packages": {"packages": [], "missing": []},
        "cupy": {"version": "14.2.0", "runtime": 13000},
        "compiler": compiler(),
        "gpu": {"failures": [], "free": 70 * 2**30},
        "emulator": {"version": "12.2.0"},
        "decoders": {"pillow": "13.0.0", "lacking": [], "fast": True},
        "kept_kernels": {"files": 0, "damaged": []},
    }


def compiler(architectures: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "version": [13, 0],
        "architectures": architectures or {},
        "kernel": "fill.cu",
        "architecture": "80",
        "bytes": 7720,
    }


@dataclass
class Made:
    """A machine to be changed by a test: each attribute may be written before `machine` is asked for.

    Attributes:
        programs: what runs on it; each is on the PATH.
    """

    root: Path
    answers: dict[str, Answer] = field(default_factory=healthy)
    packages: dict[str, Package] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    programs: dict[str, Callable[[Sequence[str]], Ended | None]] = field(default_factory=dict)
    python: Python = field(init=False)
    cores: int = 8
    user: int = 1000
    now: float = NOW
    free: int = SPACE
    cache: Callable[[str], Path] | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        prefix = self.root / "environment"
        self.python = Python((3, 11, 9), str(prefix / "bin/python"), prefix, "Linux", "x86_64", False)
        requirements = tuple(f"{name}>=0.1" for name in LIBRARIES)
        self.packages |= {name: Package(version) for name, version in LIBRARIES.items()}
        self.packages |= {"gpunn": Package("0.1.0", requirements, ">=3.11,<3.14"), "pip": Package("25.0")}
        self.packages["mlxtend"] = Package("0.23.4")
        for folder in ("tmp", "home/cache", "work", "installed"):
            (self.root / folder).mkdir(parents=True)
        self.program("g++")
        self.program("apt-get")
        self.file("environment/bin/pip", executable=True)
        self.environment["PATH"] = f"{prefix / 'bin'}:{self.root / 'bin'}"
        self.file("installed/__init__.py")
        os.utime(self.root / "installed/__init__.py", (NOW - 9e6, NOW - 9e6))

    def file(self, name: str, text: str = "", *, executable: bool = False) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if executable:
            path.chmod(0o755)
        return path

    def program(self, name: str, run: Callable[[Sequence[str]], Ended | None] = lambda command: None) -> None:
        self.programs[name] = run
        self.file(f"bin/{name}", executable=True)

    def remove_program(self, name: str) -> None:
        (self.root / "bin" / name).unlink()

    def card(self, driver_module: bool = False) -> None:
        """A GPU on the PCI bus, beside a network card of another maker and a sound device of NVIDIA's."""
        devices = [("0x8086", "0x020000"), ("0x10de", "0x040300"), ("0x10de", "0x030200")]
        for number, (vendor, kind) in enumerate(devices):
            self.file(f"sys/bus/pci/devices/0000:0{number}:00.0/vendor", vendor + "\n")
            self.file(f"sys/bus/pci/devices/0000:0{number}:00.0/class", kind + "\n")
        if driver_module:
            self.file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06\n")

    def driver(self, version: int = 13000, status: int = 0, gpus: Sequence[Mapping[str, Any]] = (H100,)) -> None:
        """A card and its driver; without an error it shows the GPUs."""
        self.card(driver_module=True)
        for node in ("nvidiactl", "nvidia0", "nvidia-uvm"):
            self.file(f"dev/{node}")
        self.answers["driver"] = {"status": status, "version": version, "gpus": [] if status else list(gpus)}

    def cupy(self, *names: str, missing: Sequence[str] = ()) -> None:
        self.answers["cupy_packages"] = {"packages": list(names), "missing": list(missing)}

    def container(self) -> None:
        self.file(".dockerenv")

    def ask(self, probe: str, *arguments: str) -> dict[str, Any]:
        self.asked.append((probe, *arguments))
        answer = self.answers[probe]
        if callable(answer):
            answer = answer(*arguments)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    def run(self, command: Sequence[str], seconds: float) -> Ended | None:
        return self.programs[Path(command[0]).name](command)

    @property
    def machine(self) -> Machine:
        return Machine(
            root=self.root,
            folder=self.root / "work",
            installation=self.root / "installed",
            environment=self.environment,
            user=self.user,
            cores=self.cores,
            python=self.python,
            package=self.packages.get,
            run=self.run,
            ask=self.ask,
            cache=self.cache or (lambda room: self.root / "home/cache/gpunn" / room),
            free_bytes=lambda folder: self.free,
            now=lambda: self.now,
        )

    def findings(self, device: str = "auto") -> list[Finding]:
        return examine(self.machine, device)

    def found(self, subject: str, device: str = "auto") -> Finding:
        """The only finding about a subject."""
        (finding,) = [each for each in self.findings(device) if each.subject == subject]
        return finding

    def with_python(self, **changes: Any) -> None:
        self.python = replace(self.python, **changes)


def failing(text: str) -> ProbeError:
    return ProbeError(text)
