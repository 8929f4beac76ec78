"""Instructions of machine code, from NVIDIA's disassembler, which needs no GPU."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gpunn.errors import DeviceError

#: Every instruction of compute capability 7.0 and later has 128 bits.
INSTRUCTION_BYTES = 16
#: Loads of 16 bytes a thread or more: from global and shared memory, copies between them, and four 8x8 matrices.
_WIDE_LOAD = re.compile(r"LD(G|S|GSTS)?\.(.*\.)?(128|256)\b|LDSM\..*\.4$")


@dataclass(frozen=True)
class Instructions:
    """How many of a kernel's instructions are products of matrices, and how many load 16 bytes a thread at once."""

    tensor_core: int
    wide_loads: int


@cache
def disassembler() -> Path:
    """The program nvdisasm: of the package nvidia-cuda-nvdisasm, or of a CUDA toolkit on the PATH.

    Raises:
        DeviceError: when there is none.
    """
    package = importlib.util.find_spec("nvidia")
    for folder in package.submodule_search_locations or () if package else ():
        found = sorted(Path(folder).glob("*/bin/nvdisasm"))
        if found:
            return found[-1]
    on_path = shutil.which("nvdisasm")
    if on_path is None:
        raise DeviceError('the disassembler nvdisasm is not installed; pip install "gpunn[kernels]"')
    return Path(on_path)


def count_instructions(architecture: str, codes: Sequence[bytes]) -> list[Instructions]:
    """What each piece of machine code for an architecture such as "90a" is made of; one run serves all pieces.

    Raises:
        DeviceError: when the disassembler is missing or refuses the code.
    """
    if not codes:
        return []
    opcodes = iter(_opcodes(architecture, b"".join(codes)))
    counted = []
    for code in codes:
        own = [next(opcodes) for _ in range(len(code) // INSTRUCTION_BYTES)]
        counted.append(
            Instructions(
                tensor_core=sum(opcode.split(".")[0].endswith("MMA") for opcode in own),
                wide_loads=sum(_WIDE_LOAD.match(opcode) is not None for opcode in own),
            )
        )
    return counted


def _opcodes(architecture: str, code: bytes) -> list[str]:
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(code)
        file.flush()
        command = [str(disassembler()), "-json", "-ndf", "-b", f"SM{architecture}", file.name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DeviceError(f"nvdisasm cannot read code for sm_{architecture}: {result.stderr.strip()}")
    _, functions = json.loads(result.stdout)
    opcodes = [instruction["opcode"] for function in functions for instruction in function["sass-instructions"]]
    if len(opcodes) != len(code) // INSTRUCTION_BYTES:
        raise DeviceError(
            f"nvdisasm found {len(opcodes)} instructions for sm_{architecture} in {len(code)} bytes, "
            f"which are {len(code) // INSTRUCTION_BYTES}"
        )
    return opcodes
