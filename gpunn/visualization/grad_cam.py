"""Grad-CAM: which parts of an image speak for a class.

Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, "Grad-CAM: Visual explanations from deep networks via
gradient-based localization", ICCV 2017, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from gpunn.data.loading.batch import Batch
from gpunn.graph import Node
from gpunn.program.program import plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.training.feeding import feed
from gpunn.training.learner import Learner
from gpunn.training.objectives import scores_of

Values = np.ndarray[Any, np.dtype[np.float64]]

#: float16 begins at 6e-8: a score is differentiated so many times as large there.
_HALF_PRECISION_SCALE = 1024.0


@dataclass(frozen=True)
class GradCam:
    """The map of one image and one class.

    Attributes:
        label: of the layer whose feature maps were weighed.
        class_number: of the class.
        map: (P, Q), as large as the feature maps; nothing in it is negative.
    """

    label: str
    class_number: int
    map: Values

    @property
    def shares(self) -> Values:
        """The map over its largest value; zeros where it is zero everywhere."""
        return self.map / (self.map.max() or 1.0)


def grad_cam(learner: Learner, batch: Batch, class_number: int, node: Node) -> GradCam:
    """Differentiate the score of a class, before softmax, and weigh feature maps by the gradient.

    Args:
        learner: the network with its weights.
        batch: one image.
        class_number: from 0.
        node: whose feature maps, (P, Q, K).

    Raises:
        UsageError: when the scores do not depend on the node.
    """
    network, precision = learner.network, learner.state.precision
    scores = scores_of(network.outputs[0])
    specification = Specification(
        batch=1,
        mode="evaluate",
        precision=precision,
        pictures=(learner.preprocessing.height, learner.preprocessing.width),
        keep=(node,),
        gradients_of=(node,),
        gradients_given=(scores,),
    )
    plan = plan_program(network, learner.device, specification)
    program = share_memory([plan], learner.state)[0]
    one = np.zeros((1, *scores.shape))
    scale = _HALF_PRECISION_SCALE if precision.scales_loss else 1.0
    one[0, class_number] = scale
    feed(program, replace(batch, targets={f"grad {plan.outputs[scores].name}": one}))
    program.run()
    label = network.labels[node]
    activations = program.read_output(node)[0].astype(np.float64)
    gradients = program.read(f"grad {label}")[0].astype(np.float64) / scale
    return GradCam(label, class_number, weighed(activations, gradients))


def weighed(activations: Values, gradients: Values) -> Values:
    """ReLU of the sum of feature maps, each times the mean of its gradient: the paper's equations 1 and 2.

    Args:
        activations: (P, Q, K).
        gradients: of the score with respect to them.
    """
    weights = gradients.mean(axis=(0, 1))
    summed: Values = np.maximum(activations @ weights, 0.0)
    return summed


def upsampled(shares: Values, height: int, width: int) -> Values:
    """(P, Q) to (height, width), by bilinear interpolation between the centres of the cells."""
    image = Image.fromarray(shares.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).astype(np.float64)
