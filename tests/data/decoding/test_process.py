from __future__ import annotations

import subprocess
import sys

import pytest

# Eight buffers of 1 MiB taken, written and given back, as often as pictures come.
COUNT_FAULTS = """
import resource
import numpy as np
from gpunn.data.decoding.process import prepare_process

def pictures(count):
    for _ in range(count):
        for buffer in [np.empty(1 << 20, np.uint8) for _ in range(8)]:
            buffer.fill(1)

prepare_process()
pictures(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
pictures(10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_a_prepared_process_keeps_the_memory_of_pictures() -> None:
    run = subprocess.run([sys.executable, "-c", COUNT_FAULTS], check=True, capture_output=True, text=True)
    # Each of the ten rounds touches 2,048 pages; 2,000 or more faults are counted where it is not prepared.
    assert int(run.stdout) < 500
