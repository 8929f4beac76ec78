"""From a network to a list of calls: every layer emits its forward, every loss its gradient, then all the backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.graph import Node
from gpunn.layers.emitter import Target
from gpunn.losses import Objective, target_shape
from gpunn.network import Network
from gpunn.program.call import Argument, Buffer, BufferKind, Call
from gpunn.program.controls import FLOAT64, INT32, TOTALS, control
from gpunn.program.memory_plan import PLACED
from gpunn.program.node_emitter import NodeEmitter
from gpunn.program.specification import Specification


@dataclass
class Emission:
    """The growing list, and what is known about every node."""

    network: Network
    device: Device
    specification: Specification
    calls: list[Call] = field(default_factory=list)
    outputs: dict[Node, Buffer] = field(default_factory=dict)
    roots: dict[Node, Node] = field(default_factory=dict)
    gradients_written: set[Node] = field(default_factory=set)
    parameters_written: set[str] = field(default_factory=set)
    wants: dict[Node, bool] = field(default_factory=dict)

    def run(self) -> list[Call]:
        """All calls, in order.

        Raises:
            UsageError: when an objective or a wanted node is not part of the network, a gradient is wanted that no
                loss has, or two arrays share a name.
        """
        asked = (*(o.output for o in self.specification.objectives), *self.specification.keep)
        for node in (*asked, *self.specification.gradients_of, *self.specification.gradients_given):
            if node not in self.network.labels:
                raise UsageError(
                    f"node '{node.name}' is not part of network '{self.network.name}'; "
                    "give it to Network as an output, or use a node of this network"
                )
        for node in self.network.nodes:
            self._forward(node)
        self._keep_outputs()
        self.gradients_written.update(map(self.root, self.specification.gradients_given))
        if self.trains and self.specification.precision.scales_loss:
            scales = {"loss_share": control("loss_share"), "loss_multiplier": control("loss_multiplier")}
            self.add("set_loss_scale", "loss", "loss", {"loss_scale": control("loss_scale")}, scales)
        for position, objective in enumerate(self.specification.objectives):
            self._objective(position, objective)
        if self.trains:
            for node in reversed(self.network.nodes):
                if self.root(node) is node and node in self.gradients_written and self.wanted(node):
                    node.layer.backward(NodeEmitter(self, node, "backward"))
        self._require_gradients_that_exist()
        if self.specification.mode == "train" and not self.specification.accumulate_gradients:
            self._clear_unreached_gradients()
        self._require_names_of_their_own()
        return self.calls

    def _require_gradients_that_exist(self) -> None:
        for node in self.specification.gradients_of:
            if self.root(node) not in self.gradients_written:
                raise UsageError(
                    f"no loss reaches node '{node.name}', so that it has no gradient; leave it out of gradients_of, or "
                    "add an objective that depends on it"
                )

    def _clear_unreached_gradients(self) -> None:
        """What no loss reaches has the gradient zero; penalties would add to that of the step before."""
        master = self.specification.precision.master
        for name, parameter, layer in self.network.parameters():
            if layer.trainable and name not in self.parameters_written:
                gradient = Buffer(name, parameter.shape, master, "plain", "gradient")
                self.add("fill", str(layer.name), "backward", {"y": gradient}, {}, value=0.0)

    def _require_names_of_their_own(self) -> None:
        """The host finds arrays by name, so a layer must not be called like a target or a loss."""
        named: dict[str, Buffer] = {}
        for buffer in (buffer for call in self.calls for buffer in call.buffers if buffer.kind in PLACED):
            other = named.setdefault(buffer.name, buffer)
            if other != buffer:
                raise UsageError(
                    f"two arrays of this program are called '{buffer.name}', of shapes {other.shape} and "
                    f"{buffer.shape}; give the layer or the target another name"
                )

    @property
    def trains(self) -> bool:
        """Whether gradients are wanted."""
        return self.specification.mode == "train" or bool(self.specification.gradients_of)

    def root(self, node: Node) -> Node:
        """The node that really computed what this one passes through."""
        return self.roots.get(node, node)

    def wanted(self, node: Node) -> bool:
        """Whether some gradient lies at or before the node."""
        if node not in self.wants:
            trained = self.specification.mode == "train" and node.layer.trainable
            self.wants[node] = (
                node in self.specification.gradients_of
                or (trained and bool(node.layer.parameters(node.input_shapes)))
                or any(self.wanted(source) for source in node.inputs)
            )
        return self.wants[node]

    def output(self, node: Node) -> Buffer:
        """The buffer that holds a node's output."""
        root = self.root(node)
        if root not in self.outputs:
            shape = (self.specification.batch, *root.shape)
            precision = self.specification.precision
            dtype = precision.accumulated if self._ends_wide(root) else precision.stored
            self.outputs[root] = Buffer(self.network.labels[root], shape, dtype, "images", "planned")
        return self.outputs[root]

    def _ends_wide(self, node: Node) -> bool:
        """Whether the node gives scores that nothing but losses and the host reads: they are not rounded then."""
        scores = (*self.network.outputs, *(objective.output for objective in self.specification.objectives))
        read = any(node in other.inputs for other in self.network.nodes)
        return node in scores and node.layer.widens and not read

    def gradient(self, node: Node) -> Target:
        """Where the gradient of a node's output goes; the second one to ask adds to the first."""
        root = self.root(node)
        accumulate = root in self.gradients_written
        self.gradients_written.add(root)
        return Target(self.gradient_buffer(node), accumulate)

    def gradient_buffer(self, node: Node) -> Buffer:
        """The gradient of a node's output."""
        root = self.root(node)
        given, kept = (
            root in map(self.root, nodes)
            for nodes in (self.specification.gradients_given, self.specification.gradients_of)
        )
        output = self.output(root)
        stored = self.specification.precision.stored
        kind: BufferKind = "input" if given else "kept" if kept else "planned"
        return Buffer(f"grad {output.name}", output.shape, stored, output.layout, kind)

    def add(
        self,
        primitive: str,
        node: str,
        phase: Literal["forward", "loss", "backward", "update"],
        writes: Mapping[str, Argument],
        reads: Mapping[str, Argument],
        **settings: Any,
    ) -> None:
        """Append one call."""
        self.calls.append(Call(primitive, node, phase, dict(writes), dict(reads), settings))

    def _forward(self, node: Node) -> None:
        if node is not self.network.image:
            node.layer.forward(NodeEmitter(self, node, "forward"))
            return
        if self.specification.pictures is None:
            output = self.output(node)
            self.outputs[node] = Buffer(output.name, output.shape, output.dtype, output.layout, "input")
            return
        channels = node.shape[-1]
        batch = self.specification.batch
        self.add(
            "normalize_images",
            self.network.labels[node],
            "forward",
            {"y": self.output(node)},
            {
                "images": Buffer(
                    "images", (batch, *self.specification.pictures, channels), np.dtype(np.uint8), "plain", "input"
                ),
                "placement": Buffer("placement", (batch, 3), INT32, "plain", "input"),
                "mean": Buffer("image_mean", (channels,), FLOAT64, "plain", "flat"),
                "deviation": Buffer("image_deviation", (channels,), FLOAT64, "plain", "flat"),
            },
        )

    def _keep_outputs(self) -> None:
        """Only now is it known which nodes pass through what another one computed."""
        for node in (*self.network.outputs, *self.specification.keep):
            planned = self.output(node)
            if planned.kind == "planned":
                kept = replace(planned, kind="kept")
                self.outputs[self.root(node)] = kept
                self.calls = [call.replaced(planned, kept) for call in self.calls]

    def _scores(self, node: Node, label: str) -> Buffer:
        """The output of a node in the number type that losses take."""
        output, accumulated = self.output(node), self.specification.precision.accumulated
        if output.dtype == accumulated:
            return output
        scores = Buffer(f"{label}:scores", output.shape, accumulated, "plain", "planned")
        self.add("copy", label, "loss", {"y": scores}, {"x": output}, accumulate=False)
        return scores

    def _objective(self, position: int, objective: Objective) -> None:
        batch = self.specification.batch
        precision = self.specification.precision
        label = f"loss{position + 1}"
        loss = Buffer(label, (batch,), precision.accumulated, "plain", "kept")
        target = Buffer(
            objective.target,
            target_shape(objective, batch),
            INT32 if objective.loss.target == "labels" else precision.accumulated,
            "plain",
            "input",
        )
        wants_gradient = self.trains and self.wanted(objective.output)
        gradient = self.gradient(objective.output) if wants_gradient else None
        ranks = Buffer(f"ranks{position + 1}", (batch,), INT32, "plain", "kept") if objective.loss.ranks else None
        call = objective.loss.call()
        self.add(
            call.primitive,
            label,
            "loss",
            {
                "loss": loss,
                "gradient": gradient.buffer if gradient else None,
                **({"ranks": ranks} if objective.loss.ranks else {}),
            },
            {
                objective.loss.output_argument: self._scores(objective.output, label),
                objective.loss.target_argument: target,
                "loss_scale": control("loss_scale"),
            },
            weight=objective.weight,
            accumulate=gradient.accumulate if gradient else False,
            **call.settings,
        )
        self.add(
            "finite_check",
            label,
            "loss",
            {"apply": control("apply"), "latched_step": control("latched_step")},
            {"values": loss, "step": control("step")},
        )
        self.add(
            "record_losses",
            label,
            "loss",
            {"totals": Buffer(f"totals{position + 1}", (TOTALS,), FLOAT64, "plain", "control")},
            {"loss": loss, "ranks": ranks, "apply": control("apply")},
        )
