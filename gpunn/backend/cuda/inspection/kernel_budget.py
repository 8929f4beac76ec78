"""What kernels may need, kept in a file: a change that makes a kernel worse is seen where it is made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass

from gpunn.backend.cuda.inspection.report import KernelReport
from gpunn.errors import UsageError


@dataclass(frozen=True)
class Needs:
    """Of one kernel on one architecture; see KernelReport."""

    registers: int
    shared_bytes: int
    tensor_core_instructions: int
    wide_loads: int


#: By "file kernel<choices>" and architecture.
Budget = Mapping[tuple[str, str], Needs]


def budget_of(reports: Iterable[KernelReport]) -> Budget:
    """What the kernels need now."""
    return {
        (f"{one.file} {one.kernel}", one.architecture): Needs(
            one.registers, one.shared_bytes, one.tensor_core_instructions, one.wide_loads
        )
        for one in reports
    }


def format_budget(budget: Budget) -> str:
    """JSON with one line a kernel: the numbers of Needs, for each group of architectures where they are the same."""
    kernels: dict[str, dict[tuple[int, ...], list[str]]] = {}
    for (kernel, architecture), needs in budget.items():
        kernels.setdefault(kernel, {}).setdefault(astuple(needs), []).append(architecture)
    lines = (
        f"{json.dumps(kernel)}: {json.dumps({' '.join(names): numbers for numbers, names in groups.items()})}"
        for kernel, groups in sorted(kernels.items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse_budget(text: str) -> Budget:
    """The reverse of format_budget.

    Raises:
        UsageError: when the text is no such file.
    """
    try:
        return {
            (kernel, architecture): Needs(*map(int, numbers))
            for kernel, groups in json.loads(text).items()
            for names, numbers in groups.items()
            for architecture in names.split()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"this is no budget of kernels ({error}); write one with gpunn kernels --write-budget"
        ) from None


def overruns(budget: Budget, found: Budget) -> Iterator[str]:
    """A line for each kernel of `found` that takes more registers or shared memory than it may, or lost all its
    tensor-core instructions or wide loads, or is not in the budget."""
    for (kernel, architecture), needs in found.items():
        at = f"{kernel} on sm_{architecture}"
        allowed = budget.get((kernel, architecture))
        if allowed is None:
            yield f"{at} is not in the budget"
            continue
        if needs.registers > allowed.registers:
            yield f"{at} takes {needs.registers} registers; {allowed.registers} are budgeted"
        if needs.shared_bytes > allowed.shared_bytes:
            yield f"{at} takes {needs.shared_bytes} bytes of shared memory; {allowed.shared_bytes} are budgeted"
        if allowed.tensor_core_instructions and not needs.tensor_core_instructions:
            yield f"{at} has no tensor-core instructions any more; it had {allowed.tensor_core_instructions}"
        if allowed.wide_loads and not needs.wide_loads:
            yield f"{at} has no loads of 16 bytes any more; it had {allowed.wide_loads}"
