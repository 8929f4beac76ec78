"""From Python values to what a kernel declares: every argument is checked, and numbers get their C type."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from math import isinf
from typing import Any, SupportsIndex

import ml_dtypes
import numpy as np

from gpunn.backend.contract import Array, DType
from gpunn.backend.cuda.launching.device_memory import DeviceMemory
from gpunn.backend.cuda.launching.geometry_arguments import STRUCTURES
from gpunn.backend.cuda.launching.source import Choices, KernelSource, Parameter, Signature
from gpunn.errors import DeviceError, UsageError
from gpunn.geometry import LARGEST_ARRAY

#: The NumPy type of each C type that a kernel may declare.
C_TYPES: dict[str, DType] = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "unsigned": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "unsigned char": np.dtype(np.uint8),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
    **STRUCTURES,
}
_C_NAMES = {dtype: name for name, dtype in C_TYPES.items()}


@dataclass(frozen=True)
class Rows:
    """How an array lies in memory: rows of `length` elements, one every `pitch` elements."""

    count: int
    length: int
    pitch: int


def rows_of(array: Array) -> Rows | None:
    """An array as rows; None when it is neither dense nor a slice of the last axis of a dense one.

    A dense array is a single row.
    """
    if array.size == 0 or array.flags.c_contiguous:
        return Rows(1, array.size, array.size)
    itemsize = array.dtype.itemsize
    if array.ndim < 2 or (array.shape[-1] > 1 and array.strides[-1] != itemsize):
        return None
    count = 1
    pitch = 0
    for extent, stride in reversed(list(zip(array.shape[:-1], array.strides[:-1], strict=True))):
        if extent == 1:
            continue
        if count == 1:
            pitch = stride
        elif stride != pitch * count:
            return None
        count *= extent
    if pitch % itemsize or pitch < array.shape[-1] * itemsize:
        return None
    return Rows(count, array.shape[-1], pitch // itemsize)


def channel_pitch(array: Array) -> int:
    """The distance in elements from one pixel's channels to the next one's.

    Raises:
        UsageError: for an array in an order that kernels do not read.
    """
    rows = rows_of(array)
    if rows is None:
        raise UsageError(
            f"an array of shape {array.shape} with strides {array.strides} is not N, H, W, C row by row; "
            "allocate it through its device"
        )
    return int(array.shape[-1]) if rows.count == 1 else rows.pitch


@dataclass(frozen=True)
class BoundArgument:
    """A parameter with its value: an array, None for a null pointer, or a number of the declared type."""

    parameter: Parameter
    value: Any


def infer_choices(source: KernelSource, signature: Signature, arguments: dict[str, Any], given: Choices) -> Choices:
    """The choices that are given, and for each that is the type of an array, the type that the array has.

    Raises:
        UsageError: when a choice is neither given nor the type of an array.
    """
    chosen = dict(given)
    for name in source.choices:
        arrays = [arguments.get(parameter.name) for parameter in signature.parameters if parameter.type == name]
        dtype = next((array.dtype for array in arrays if array is not None and hasattr(array, "dtype")), None)
        if name in chosen:
            continue
        if dtype is None:
            raise UsageError(
                f"kernel {signature.name}: {name} is open; choose one of {', '.join(source.choices[name])}"
            )
        chosen[name] = _C_NAMES.get(dtype, str(dtype))
    return chosen


def bind(
    signature: Signature, arguments: dict[str, Any], memory: DeviceMemory, choices: Choices
) -> tuple[BoundArgument, ...]:
    """The arguments in the order of the signature; a parameter whose type is a choice has the type that was chosen.

    Raises:
        UsageError: for arguments that are missing, unknown, or of the wrong type, layout or range.
        DeviceError: for an array that lies on another device.
    """
    declared = [parameter.name for parameter in signature.parameters]
    missing = [name for name in declared if name not in arguments]
    unknown = [name for name in arguments if name not in declared]
    if missing or unknown:
        raise UsageError(
            f"kernel {signature.name} takes {len(declared)} arguments ({', '.join(declared)}); "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    binder = _Binder(signature, arguments, memory, choices)
    return tuple(BoundArgument(parameter, binder.value(parameter)) for parameter in signature.parameters)


class _Binder:
    def __init__(self, signature: Signature, arguments: dict[str, Any], memory: DeviceMemory, choices: Choices) -> None:
        self._kernel = signature.name
        self._declared = {parameter.name for parameter in signature.parameters}
        self._arguments = arguments
        self._memory = memory
        self._choices = choices

    def value(self, parameter: Parameter) -> Any:
        type_ = self._choices.get(parameter.type, parameter.type)
        wanted = C_TYPES.get(type_)
        if wanted is None:
            raise DeviceError(
                f"{self._at(parameter)} has the C type {type_!r}, which the launcher does not know; "
                f"use one of {', '.join(C_TYPES)}"
            )
        value = self._arguments[parameter.name]
        if parameter.is_pointer:
            return self._array(parameter, value, wanted)
        return self._number(parameter, value, wanted) if wanted.names is None else self._structure(parameter, value)

    def _at(self, parameter: Parameter) -> str:
        return f"kernel {self._kernel}: argument {parameter.name!r}"

    def _array(self, parameter: Parameter, value: Any, wanted: DType) -> Array:
        at = self._at(parameter)
        if value is None:
            if parameter.is_optional:
                return None
            raise UsageError(f"{at} is None; it wants an array of {wanted}")
        if not self._memory.owns(value):
            raise DeviceError(
                f"{at} is a {type(value).__module__}.{type(value).__name__}; "
                f"it wants an array of {self._memory.array_type}"
            )
        if value.dtype != wanted:
            declared = self._choices.get(parameter.type, parameter.type)
            raise UsageError(f"{at} is {value.dtype}; the kernel declares {declared}, which wants {wanted}")
        if value.size > LARGEST_ARRAY:
            raise UsageError(
                f"{at} of shape {value.shape} has {value.size} elements; kernels count to {LARGEST_ARRAY}: "
                "use a smaller batch"
            )
        if parameter.is_written and not self._memory.is_writable(value):
            raise UsageError(f"{at} is read-only; the kernel writes it")
        self._require_layout(parameter, value)
        return value

    def _require_layout(self, parameter: Parameter, array: Array) -> None:
        at = self._at(parameter)
        rows = rows_of(array)
        pitch_name = f"{parameter.name}_pitch"
        if rows is None or (rows.count > 1 and pitch_name not in self._declared):
            raise UsageError(
                f"{at} of shape {array.shape} has strides {array.strides}; the kernel wants it "
                f"{'row by row, or a slice of its last axis' if pitch_name in self._declared else 'row by row'}"
            )
        if rows.count > 1 and self._arguments[pitch_name] != rows.pitch:
            raise UsageError(f"{at} has a pitch of {rows.pitch}, but {pitch_name} is {self._arguments[pitch_name]}")
        if self._memory.address(array) % array.dtype.itemsize:
            raise UsageError(f"{at} lies at an address that is no multiple of {array.dtype.itemsize} bytes")

    def _structure(self, parameter: Parameter, value: Any) -> Any:
        if not isinstance(value, np.void) or value.dtype != STRUCTURES[parameter.type]:
            raise UsageError(f"{self._at(parameter)} is {value!r}; the kernel wants a {parameter.type}")
        return value

    def _number(self, parameter: Parameter, value: Any, wanted: DType) -> Any:
        at = self._at(parameter)
        if np.issubdtype(wanted, np.integer):
            if not isinstance(value, SupportsIndex):
                raise UsageError(
                    f"{at} is {value!r} ({type(value).__name__}); the kernel wants the integer type {wanted}"
                )
            number = operator.index(value)
            limits = np.iinfo(wanted)
            if not limits.min <= number <= limits.max:
                raise UsageError(f"{at} is {number}; {parameter.type} holds {limits.min} to {limits.max}")
            return wanted.type(number)
        if not isinstance(value, (int, float, np.number)):
            raise UsageError(f"{at} is {value!r} ({type(value).__name__}); the kernel wants a number, {wanted}")
        with np.errstate(over="ignore"):
            converted = wanted.type(value)
        if isinf(converted) and not isinf(value):
            raise UsageError(f"{at} is {value}; the largest {parameter.type} is {np.finfo(wanted).max}")
        return converted
