"""The loops in which tensor-core convolutions spend their time, as machine code: what is issued beside the products.

A scheduler issues one instruction a cycle. By its published peak, a multiprocessor of compute capability 8.0 takes
eight cycles for one product on each of its four tensor cores: with as many instructions a product, issuing them is the
limit, and later architectures leave less time.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gpunn.backend.cuda.compiling.compile import compile_kernels
from gpunn.backend.cuda.inspection.disassembly import disassembler
from gpunn.backend.cuda.launching.source import packaged_source

PASSES = ("forward", "backward_data", "backward_filter")
#: Products of a warp of the largest tile in a step of its loop: 4 x 8, two deep.
PRODUCTS = 64
#: Instructions of a step for each product. TF32 factors are rounded on the way, and half of them loaded one by one.
MOST_INSTRUCTIONS = {"bfloat16": 4.5, "float": 8.5}


def loops_of(cubin: bytes, folder: Path) -> list[list[str]]:
    """The instructions from the target of each backward branch to the branch."""
    path = folder / "kernel.cubin"
    path.write_bytes(cubin)
    text = subprocess.run([str(disassembler()), "-c", str(path)], capture_output=True, text=True, check=True).stdout
    instructions: list[str] = []
    labels: dict[str, int] = {}
    loops = []
    for line in text.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            labels[label[1]] = len(instructions)
        elif instruction := re.match(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+ )?([A-Z][^;]*)", line):
            instructions.append(instruction[1])
            target = re.match(r"BRA.*`\((\.L_x_\d+)\)", instruction[1])
            if target and target[1] in labels:
                loops.append(instructions[labels[target[1]] :])
    return loops


@pytest.mark.parametrize("architecture", ["80", "90a"])
@pytest.mark.parametrize("stored", MOST_INSTRUCTIONS)
@pytest.mark.parametrize("name", PASSES)
def test_few_instructions_stand_beside_a_product(name: str, stored: str, architecture: str, tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    source = packaged_source(f"convolution2d_{name}_tensor.cu").choose({"STORED": stored, "TILE": "aligned_128x128"})
    loops = loops_of(compile_kernels(source, architecture).cubin, tmp_path)
    steps = [loop for loop in loops if any(instruction.startswith("HMMA") for instruction in loop)]
    # Where the bias's gradient is summed, too, a loop of its own does that.
    assert len(steps) == (2 if name == "backward_filter" else 1)
    step = min(steps, key=len)
    assert sum(instruction.startswith("HMMA") for instruction in step) == PRODUCTS
    assert len(step) <= MOST_INSTRUCTIONS[stored] * PRODUCTS
