"""What NumPy computes products with, and how fast."""

from __future__ import annotations

import time
from typing import Any

SIZE = 384
REPETITIONS = 5


def answer() -> dict[str, Any]:
    """NumPy's version, the name and version of its BLAS (None where threadpoolctl knows none), the threads that it
    starts by itself, and operations a second of a product of float32 on one thread, two per multiply-add."""
    import numpy as np
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController().select(user_api="blas")
    libraries = controller.info()
    a = np.ones((SIZE, SIZE), np.float32)
    times = []
    with controller.limit(limits=1):
        for _ in range(REPETITIONS):
            begun = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - begun)
    first = libraries[0] if libraries else {}
    return {
        "numpy": np.__version__,
        "name": first.get("internal_api"),
        "version": first.get("version"),
        "threads": first.get("num_threads"),
        "flops": 2 * SIZE**3 / min(times),
    }
