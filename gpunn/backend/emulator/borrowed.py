"""The primitives of the emulator: CUDA's where there is a kernel, the CPU backend's everywhere else.

The two keep images in different orders of memory, so a borrowed primitive works on copies of its images.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from gpunn.backend import cpu, cuda
from gpunn.backend.contract import Device, Primitives

Primitive = Callable[..., Any]

#: Arguments of four axes that are no images of a layer: filters and pictures lie row by row on every device.
_PLAIN = frozenset({"w", "gw", "images"})


def borrowed_primitives(lender: Device) -> Primitives:
    """Every function of the contract, for a device whose memory NumPy reaches.

    Args:
        lender: the handle of the CPU, which computes what CUDA has no kernel for.
    """
    functions = {
        name: _borrowed(getattr(cpu, name), lender)
        for name, member in inspect.getmembers(Primitives, inspect.isfunction)
        if not name.startswith("_")
    }
    own = {name: getattr(cuda, name) for name in cuda.__all__}
    return cast("Primitives", SimpleNamespace(**functions | own))


def _borrowed(function: Primitive, lender: Device) -> Primitive:
    signature = inspect.signature(function)

    def primitive(device: Device, *arguments: Any, **named: Any) -> Any:
        bound = signature.bind(lender, *arguments, **named)
        images = _Images()
        for name, value in bound.arguments.items():
            if name not in _PLAIN:
                bound.arguments[name] = images.for_lender(value)
        result = function(*bound.args, **bound.kwargs)
        images.copy_back()
        return result

    if function.__name__.endswith("_workspace"):
        return primitive
    return lambda device, *arguments, **named: device.recorder.do(lambda: primitive(device, *arguments, **named))


class _Images:
    """The copies that one call works on."""

    def __init__(self) -> None:
        self._copies: dict[Any, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}

    def for_lender(self, value: Any) -> Any:
        """Images in the CPU's order, H, W, N, C; anything else as it is."""
        if isinstance(value, (list, tuple)) and any(isinstance(item, np.ndarray) for item in value):
            return [self.for_lender(item) for item in value]
        if not isinstance(value, np.ndarray) or value.ndim != 4:
            return value
        # An operation in place passes one array twice, and must find it one array here, too.
        identity = (value.ctypes.data, value.shape, value.strides)
        if identity not in self._copies:
            ordered = np.ascontiguousarray(value.transpose(1, 2, 0, 3)).transpose(2, 0, 1, 3)
            self._copies[identity] = (value, ordered)
        return self._copies[identity][1]

    def copy_back(self) -> None:
        """Results to where they belong. Outputs come before inputs in every primitive, so they are copied last."""
        for original, ordered in reversed(self._copies.values()):
            if original.flags.writeable:
                np.copyto(original, ordered)
