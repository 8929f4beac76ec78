"""What a layer sees of the program being built, from the place of one of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gpunn.backend.attributes import Arithmetic
from gpunn.backend.contract import DType, Layout
from gpunn.geometry import Shape
from gpunn.graph import Node
from gpunn.layers.emitter import Target
from gpunn.program.call import Buffer
from gpunn.program.controls import control

if TYPE_CHECKING:
    from gpunn.program.emission import Emission


class NodeEmitter:
    """The view that one node has: see gpunn.layers.emitter.Emitter."""

    def __init__(self, emission: Emission, node: Node, phase: Literal["forward", "backward"]) -> None:
        self._emission = emission
        self._node = node
        self._phase = phase
        self.batch = emission.specification.batch
        self.training = emission.specification.mode == "train"
        self.seed = emission.specification.seed
        self.arithmetic = Arithmetic(emission.specification.precision.multiplied)
        self.accumulated = emission.specification.precision.accumulated
        self.index = emission.network.nodes.index(node)
        self.differentiated = emission.trains and emission.wanted(node)

    def input(self, position: int = 0) -> Buffer:
        return self._emission.output(self._node.inputs[position])

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return tuple(self._emission.output(source) for source in self._node.inputs)

    @property
    def output(self) -> Buffer:
        return self._emission.output(self._node)

    def pass_through(self) -> None:
        self._emission.roots[self._node] = self._emission.root(self._node.inputs[0])

    def parameter(self, name: str) -> Buffer:
        return self._of_layer(name, "parameter")

    def factor(self, name: str) -> Buffer:
        precision = self._emission.specification.precision
        if precision.stored == precision.master:
            return self.parameter(name)
        return replace(self._of_layer(name, "rounded"), dtype=precision.stored)

    def statistic(self, name: str) -> Buffer:
        node = self._emission.network.first_use(self._node.layer)
        found = next(s for s in self._node.layer.statistics(node.input_shapes) if s.name == name)
        dtype = self._emission.specification.precision.accumulated
        kind: Literal["pending", "statistic"] = "pending" if self.training else "statistic"
        return Buffer(f"{self._node.layer.name}.{name}", found.shape, dtype, "plain", kind)

    def control(self, name: str) -> Buffer:
        return control(name)

    def saved(self, name: str, shape: Shape, dtype: DType | None = None, layout: Layout = "plain") -> Buffer:
        label = self._emission.network.labels[self._node]
        stored = self._emission.specification.precision.stored
        return Buffer(f"{label}:{name}", shape, dtype or stored, layout, "planned")

    def workspace(self, primitive: str, geometry: object, **settings: object) -> Buffer:
        companion = getattr(self._emission.device.primitives, f"{primitive}_workspace")
        size = companion(self._emission.device, geometry, self._emission.specification.precision.stored, **settings)
        return Buffer("workspace", (size,), np.dtype(np.uint8), "plain", "workspace")

    def output_gradient(self) -> Buffer:
        return self._emission.gradient_buffer(self._node)

    def input_gradient(self, position: int = 0) -> Target | None:
        source = self._node.inputs[position]
        return self._emission.gradient(source) if self._emission.wanted(source) else None

    def parameter_gradient(self, name: str) -> Target | None:
        trains = self._emission.specification.mode == "train" and self._node.layer.trainable
        return self.required_parameter_gradient(name) if trains else None

    def required_parameter_gradient(self, name: str) -> Target:
        buffer = self._of_layer(name, "gradient")
        if not self.training:
            return Target(self.saved(f"unused {name} gradient", buffer.shape, buffer.dtype), False)
        again = buffer.name in self._emission.parameters_written
        self._emission.parameters_written.add(buffer.name)
        return Target(buffer, again or self._emission.specification.accumulate_gradients)

    def call(self, primitive: str, writes: Mapping[str, Any], reads: Mapping[str, Any], **settings: object) -> None:
        label = self._emission.network.labels[self._node]
        self._emission.add(primitive, label, self._phase, writes, reads, **settings)

    def _of_layer(self, name: str, kind: Literal["parameter", "rounded", "gradient"]) -> Buffer:
        node = self._emission.network.first_use(self._node.layer)
        found = next(p for p in self._node.layer.parameters(node.input_shapes) if p.name == name)
        dtype = self._emission.specification.precision.master
        return Buffer(f"{self._node.layer.name}.{name}", found.shape, dtype, "plain", kind)
