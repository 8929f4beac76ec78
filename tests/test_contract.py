"""Every backend is a module of functions with the signatures of the contract."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

from gpunn.backend import cpu, cuda
from gpunn.backend.contract import Device, Primitives
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cuda.device import CudaDevice

NAMES = [name for name, member in inspect.getmembers(Primitives, inspect.isfunction) if not name.startswith("_")]

BACKENDS = [cpu, cuda]


def parameters(function: object) -> list[tuple[str, inspect._ParameterKind, object]]:
    """Name, kind and default of every parameter."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return [(p.name, p.kind, p.default) for p in signature.parameters.values() if p.name != "self"]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_a_primitive_has_the_signature_of_the_contract(backend: ModuleType, name: str) -> None:
    assert parameters(getattr(backend, name)) == parameters(getattr(Primitives, name))


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__)
def test_a_backend_exports_the_contract_and_nothing_else(backend: ModuleType) -> None:
    assert sorted(backend.__all__) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_handle_comes_first_and_workspaces_have_a_companion(name: str) -> None:
    arguments = [argument for argument, _, _ in parameters(getattr(Primitives, name))]
    assert arguments[0] == "device"
    assert ("workspace" in arguments) == (f"{name}_workspace" in NAMES)
    assert getattr(Primitives, name).__doc__


@pytest.mark.parametrize(
    "name", [name for name, member in inspect.getmembers(Device, inspect.isfunction) if not name.startswith("_")]
)
@pytest.mark.parametrize("kind", [CpuDevice, CudaDevice])
def test_a_handle_is_a_device(kind: type, name: str) -> None:
    assert parameters(getattr(kind, name)) == parameters(getattr(Device, name))
