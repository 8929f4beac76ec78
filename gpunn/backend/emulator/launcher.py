"""Runs checked launches on the CPU, through libraries that g++ built."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal, TypeVar

from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.build import KernelLibrary, build_kernels, build_kernels_for_coverage
from gpunn.backend.emulator.interface import Buffer, LaunchRequest, array_arguments, buffer_of, c_value
from gpunn.backend.emulator.loaded_library import LoadedLibrary, load_library
from gpunn.backend.emulator.profile import Profile, ProfileBuilder, RecordedAccess, RecordedBuffer
from gpunn.cores import available_cores
from gpunn.errors import DeviceError, UsageError

ScheduleName = Literal["forward", "reverse", "random"]
CopyTiming = Literal["early", "late"]
_Record = TypeVar("_Record", RecordedAccess, RecordedBuffer)

_SCHEDULES: dict[ScheduleName, int] = {"forward": 0, "reverse": 1, "random": 2}
_COPY_TIMINGS: dict[CopyTiming, int] = {"early": 0, "late": 1}
_REPORT_BYTES = 1 << 16


@dataclass(frozen=True)
class EmulatorSettings:
    """How the emulator runs kernels.

    Attributes:
        check: use the check build, which finds races, wild accesses and the like, some 20 times slower.
        schedule: the order in which the threads of a block run between two barriers; right kernels do not mind.
        seed: of the random schedule.
        copies: when an asynchronous copy is carried out: at once, or at the wait that covers it. A GPU may do either;
            right kernels do not mind.
        record: count the memory traffic of every line, for `EmulatorExecutor.profile`; the check build only.
        coverage: a folder for counts of branches, which `gpunn.backend.emulator.coverage` reads once the executor is
            closed; not together with `check`.
        workers: OS threads that share the blocks of a grid; every core of the process by default.
        memory_bytes: what its memory gives at most; None has the limits of the machine.
    """

    check: bool = False
    schedule: ScheduleName = "forward"
    seed: int = 0
    copies: CopyTiming = "early"
    record: bool = False
    coverage: Path | None = None
    workers: int | None = None
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.record and not self.check:
            raise UsageError("record=True needs check=True: only the check build sees addresses")
        if self.coverage and self.check:
            raise UsageError("coverage and check=True are two builds; choose one")


class EmulatorExecutor:
    """An executor of CudaDevice whose GPU is a process of threads and fibers."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self._settings = settings
        self._workers = settings.workers or available_cores()
        self._libraries: dict[KernelSource, LoadedLibrary] = {}
        self._runtime: ctypes.CDLL | None = None
        self._machine: ctypes.c_void_p | None = None
        self._lock = Lock()
        self._profile = ProfileBuilder()

    @property
    def profile(self) -> Profile:
        """The memory traffic of all launches so far, with `record`; empty without."""
        return self._profile.profile()

    def execute(self, launch: CheckedLaunch) -> None:
        """Run a kernel to its end.

        Raises:
            DeviceError: when it cannot be built, or the emulator finds a fault in it; the text names file and line.
        """
        with self._lock:
            library = self._library(launch.source)
            report = self._run(library, launch)
        if report is not None:
            raise DeviceError(f"kernel {launch.signature.name}: the emulator found\n{library.with_lines(report)}")

    def close(self) -> None:
        """Unmap the stacks, and write the counts of branches; a launch after this begins anew."""
        if self._runtime is not None:
            self._runtime.emulator_close(self._machine)
            self._runtime = self._machine = None
        if self._settings.coverage:
            for library in self._libraries.values():
                library.write_coverage()
        self._libraries.clear()

    def _library(self, source: KernelSource) -> LoadedLibrary:
        if source not in self._libraries:
            built = self._build(source)
            if self._runtime is None:
                self._runtime = load_library(built.runtime)
                self._runtime.emulator_open.restype = ctypes.c_void_p
                self._machine = ctypes.c_void_p(self._runtime.emulator_open(self._workers))
            self._libraries[source] = LoadedLibrary(built)
        return self._libraries[source]

    def _build(self, source: KernelSource) -> KernelLibrary:
        if self._settings.coverage:
            return build_kernels_for_coverage(source, self._settings.coverage)
        return build_kernels(source, self._settings.check)

    def _run(self, library: LoadedLibrary, launch: CheckedLaunch) -> str | None:
        """The report of what was found; None when all is well."""
        values = [c_value(argument) for argument in launch.arguments]
        pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        buffers = [buffer_of(argument) for argument in array_arguments(launch)]
        report = ctypes.create_string_buffer(_REPORT_BYTES)
        request = LaunchRequest(
            kernel=library.address(f"emulated_{launch.signature.name}"),
            shared_memory_anchor=library.address("emulator_shared_memory_anchor"),
            arguments=pointers,
            grid=launch.grid.blocks,
            block=launch.grid.threads,
            dynamic_shared_bytes=launch.grid.dynamic_shared_bytes,
            seed=self._settings.seed,
            schedule=_SCHEDULES[self._settings.schedule],
            copies=_COPY_TIMINGS[self._settings.copies],
            check=self._settings.check,
            record=self._settings.record,
            buffer_count=len(buffers),
            buffers=(Buffer * len(buffers))(*buffers),
            report=ctypes.cast(report, ctypes.c_char_p),
            report_capacity=_REPORT_BYTES,
        )
        assert self._runtime is not None
        found = self._runtime.emulator_launch(self._machine, ctypes.byref(request))
        if self._settings.record:
            self._keep_record(library, launch)
        return report.value.decode() if found else None

    def _keep_record(self, library: LoadedLibrary, launch: CheckedLaunch) -> None:
        kernel = launch.signature.name
        accesses = self._recorded(RecordedAccess, "emulator_recorded_accesses")
        places = library.places([access.code_address for access in accesses if access.code_address])
        for access in accesses:
            known = f"{Path(access.file.decode()).name}:{access.line}" if access.file else f"+{access.code_address:#x}"
            self._profile.add_access(kernel, places.get(access.code_address, (known,)), access)
        buffers = self._recorded(RecordedBuffer, "emulator_recorded_buffers")
        for argument, buffer in zip(array_arguments(launch), buffers, strict=True):
            self._profile.add_buffer(kernel, argument.parameter.name, buffer)

    def _recorded(self, type_: type[_Record], function: str) -> list[_Record]:
        first = ctypes.POINTER(type_)()
        call = getattr(self._runtime, function)
        call.restype = ctypes.c_uint64
        return first[: call(self._machine, ctypes.byref(first))]
