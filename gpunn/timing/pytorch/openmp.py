"""Threads of OpenMP, which look for work for a while after they had some."""

from __future__ import annotations

import time

from threadpoolctl import ThreadpoolController

#: omp_pause_soft of the OpenMP API, 5.0: threads end, settings stay.
_SOFT = 1
#: Threads that cannot be ended fall asleep within this; 0.2 s is the longest default (KMP_BLOCKTIME).
_ASLEEP_SECONDS = 0.25


def end_idle_threads() -> None:
    """End the threads that wait for work, so that they take no core from whoever runs next; they begin anew by
    themselves.

    GNU's OpenMP keeps them running in circles for some milliseconds after a loop, Intel's and LLVM's for 200: on cores
    that all work, as long as that slows down everybody else. They cannot be told to sleep at once without being slower
    themselves, at every loop.
    """
    for library in ThreadpoolController().select(user_api="openmp").lib_controllers:
        if hasattr(library.dynlib, "omp_pause_resource_all"):
            library.dynlib.omp_pause_resource_all(_SOFT)
        else:
            time.sleep(_ASLEEP_SECONDS)
