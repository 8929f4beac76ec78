"""A training step on the CPU of this machine: its algorithms, and the floor that a product and a copy imply."""

from __future__ import annotations

from time import monotonic

from gpunn.backend.cpu.convolution_algorithms.choosing import ALGORITHMS, asked_of, in_order
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.work import Work
from gpunn.explaining.explanation import Explanation, StepMemory, rows_of
from gpunn.explaining.hardware import Ceiling
from gpunn.explaining.step import explain_call, optimizer_of, plan_step, update_of
from gpunn.geometry import Conv2dGeometry, LinearGeometry
from gpunn.precision import Precision
from gpunn.program.call import Call
from gpunn.program.state import state_bytes
from gpunn.program.tables import tables_of
from gpunn.program.update import plan_update
from gpunn.timing.ceilings import CeilingProbe
from gpunn.timing.contestant import Task
from gpunn.timing.report import Ceilings
from gpunn.training.devices import check_precision

#: A ceiling is what was reached once, in tries that take so long, and are as many at least.
SECONDS, FEWEST_TRIES = 2.0, 3


def explain_on_cpu(task: Task, device: CpuDevice, ceilings: Ceilings | None = None) -> Explanation:
    """A training step as it would run here.

    Args:
        task: what to train.
        device: of this machine.
        ceilings: that were measured together with the times that the floors are to stand beside; None measures them
            now, which takes a few seconds.

    Raises:
        DeviceError: when the CPU does not compute the precision.
    """
    number_types = check_precision(task.precision, device)
    network = task.network()
    plan = plan_step(task, network, device, task.batch)
    optimizer = optimizer_of(task)
    update = plan_update(tables_of(network, optimizer.weight_decay), number_types, update_of(task))
    if ceilings is None:
        reached, tries = _measured_now(device, number_types)
        when = f"the best of {tries} tries now: they fall with the machine's load"
    else:
        reached, when = ceilings, "measured with the times"
    product = Ceiling(reached.flops, f"{reached.product}, {when}")
    copy = Ceiling(reached.bytes_per_second, when)
    return Explanation(
        model=task.model.name,
        batch=task.batch,
        precision=task.precision,
        device=device.name,
        name=f"{device.hardware} ({device.threads} threads)",
        product=product,
        copy=copy,
        rows=rows_of(explain_call(call, planned_work(call, device), product, copy) for call in (*plan.calls, *update)),
        memory=StepMemory(plan.memory.total, state_bytes(network, device, number_types, optimizer), None),
    )


def _measured_now(device: CpuDevice, number_types: Precision) -> tuple[Ceilings, int]:
    """The best of each, and how often both were tried."""
    probe = CeilingProbe(device, number_types)
    measured: list[Ceilings] = []
    begun = monotonic()
    ended = begun
    while len(measured) < FEWEST_TRIES or ended - begun < SECONDS:
        measured.append(probe.measure())
        ended = monotonic()
    flops, bytes_per_second = max(one.flops for one in measured), max(one.bytes_per_second for one in measured)
    return Ceilings(flops, bytes_per_second, measured[0].product), len(measured)


def planned_work(call: Call, device: CpuDevice) -> Work:
    """How the CPU will compute a call, as it tells when it does."""
    geometry = call.settings.get("geometry")
    if isinstance(geometry, LinearGeometry):
        return Work("BLAS", None)
    if isinstance(geometry, Conv2dGeometry) and call.primitive in ALGORITHMS:
        chosen = in_order(ALGORITHMS[call.primitive], geometry, asked_of(device, call.settings["arithmetic"]))[0]
        return Work(chosen.name, chosen.flops(geometry))
    return Work("NumPy", None)
