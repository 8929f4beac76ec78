"""Cores, what a control group leaves of them, and the variables that set numbers of threads."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.cores import available_cores
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.machine import Machine
from gpunn.diagnosis.situation import Situation

#: gpunn's own (gpunn.backend.cpu.device, which loads NumPy).
THREADS_VARIABLE = "GPUNN_THREADS"
#: Read by BLAS libraries; gpunn gives each of its threads one of the BLAS.
LIBRARY_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def examine(situation: Situation) -> Iterator[Finding]:
    """How many threads compute."""
    machine = situation.machine
    cores = min(machine.cores, available_cores(machine.root))
    yield _cores(situation, cores)
    yield from _own_variable(machine, cores)
    for name in LIBRARY_VARIABLES:
        yield from _library_variable(machine, name, cores)


def _cores(situation: Situation, cores: int) -> Finding:
    whole = situation.machine.cores
    if cores == whole:
        return Finding("cores", "ok", f"{_counted(cores, 'core')}, {_counted(cores, 'thread')}")
    quota = f"the control group's quota allows less than {cores + 1} of {whole} cores: {_counted(cores, 'thread')}"
    if cores > 1:
        return Finding("cores", "ok", quota)
    remedy = _more_cores(situation)
    return Finding("cores", "warning", f"{quota}, for computing and for reading pictures", remedy)


def _more_cores(situation: Situation) -> str | None:
    """How to raise the quota."""
    if situation.is_container:
        return f"docker run --cpus {situation.machine.cores} gpunn" if situation.has_docker else None
    groups = situation.machine.text("proc/self/cgroup").splitlines()
    path = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), "")
    units = [part for part in path.split("/") if part.endswith((".slice", ".service", ".scope"))]
    return f"sudo systemctl set-property {units[-1]} CPUQuota=" if units else None


def _own_variable(machine: Machine, cores: int) -> Iterator[Finding]:
    asked = machine.environment.get(THREADS_VARIABLE, "")
    if not asked:
        return
    if not asked.isdecimal() or int(asked) < 1:
        text = f"{THREADS_VARIABLE} is {asked!r}, which is no whole number of 1 or more"
        yield Finding("threads", "problem", text, f"unset {THREADS_VARIABLE}")
    elif int(asked) > cores:
        text = f"{THREADS_VARIABLE}={asked} on {_counted(cores, 'core')}: threads wait for each other"
        yield Finding("threads", "warning", text, f"export {THREADS_VARIABLE}={cores}")
    else:
        yield Finding("threads", "ok", f"{THREADS_VARIABLE}={asked}")


def _library_variable(machine: Machine, name: str, cores: int) -> Iterator[Finding]:
    asked = machine.environment.get(name)
    if asked is None:
        return
    # OpenMP takes a list, one number for each level of nesting.
    numbers = asked.split(",")
    if not all(number.strip().isdecimal() and int(number) > 0 for number in numbers):
        yield Finding("threads", "warning", f"{name} is {asked!r}, which libraries do not understand", f"unset {name}")
    elif int(numbers[0]) > cores:
        text = f"{name}={asked} is more than {_counted(cores, 'core')}"
        yield Finding("threads", "warning", text, f"export {name}={cores}")
    else:
        yield Finding("threads", "ok", f"{name}={asked}; it is {THREADS_VARIABLE} that sets gpunn's own threads")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
