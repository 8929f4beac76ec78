"""What a learner minimises, and what it measures."""

from __future__ import annotations

from dataclasses import replace

from gpunn.data.targets import SOFT_LABELS
from gpunn.graph import Node
from gpunn.layers import Softmax
from gpunn.losses import Loss, Objective, SoftmaxCrossEntropy, SoftTargetCrossEntropy
from gpunn.network import Network
from gpunn.training.rule import Rule


def scores_of(output: Node) -> Node:
    """The node before a final Softmax, since cross-entropy holds a softmax of its own; any other output itself."""
    return output.inputs[0] if isinstance(output.layer, Softmax) else output


def trained_objectives(network: Network, rule: Rule | None) -> tuple[Objective, ...]:
    """The terms of the loss in training: the rule's, or cross-entropy of every output's scores with the labels."""
    if rule is not None and rule.objectives is not None:
        return rule.objectives
    loss = SoftmaxCrossEntropy(rule.smoothing if rule is not None else 0.0)
    return tuple(Objective(scores_of(output), loss) for output in network.outputs)


def measured_objectives(network: Network, rule: Rule | None) -> tuple[Objective, ...]:
    """Those of training, without label smoothing."""
    return tuple(
        replace(objective, loss=_without_smoothing(objective.loss)) for objective in trained_objectives(network, rule)
    )


def soft_label_objectives(network: Network, smoothing: float = 0.0) -> tuple[Objective, ...]:
    """Cross-entropy of every output's scores with the shares of the classes, for images that mixup or cutmix mixes."""
    loss = SoftTargetCrossEntropy(smoothing)
    return tuple(Objective(scores_of(output), loss, target=SOFT_LABELS) for output in network.outputs)


def _without_smoothing(loss: Loss) -> Loss:
    if isinstance(loss, SoftmaxCrossEntropy | SoftTargetCrossEntropy):
        return replace(loss, smoothing=0.0)
    return loss
