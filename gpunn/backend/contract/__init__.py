"""The whole contract between a program and a device: every primitive, with its shapes and its meaning.

A backend is a module of functions with these names and signatures. Rules that hold for all of them:

- The first argument is the device handle; outputs come before inputs, inputs before settings.
- Arrays are dense views in the logical order N, H, W, C (images) or N, F (vectors) on the handle's device; how
  they lie in memory is the backend's affair, except that the channels may be a slice of a wider array.
- Everything is written into the arrays that are given; nothing is allocated. A primitive that needs scratch
  memory has a companion `<name>_workspace` that says how many bytes; `workspace` is at least that long.
- `accumulate` adds to a gradient instead of overwriting it.
- Filters are R, S, C/G, K; linear weights are inputs, outputs. Labels are int32. Losses are one number an image.
- In mixed precision, activations, their gradients and the weights of products have the stored type; logits, losses,
  biases, statistics, parameters and all parameter gradients the wider type in which sums are kept.
- What changes from step to step lies in arrays of one element: `learning_rate`, `loss_scale`, `loss_share`,
  `loss_multiplier`, `gradient_scale` (float64), `step`, `first_image`, `latched_step`, `finite_steps` (int64) and
  `apply` (int32: 0 says that this step is void).
"""

from __future__ import annotations

from gpunn.backend.contract.arrays import Array, DType, Layout, Memory, nothing
from gpunn.backend.contract.device import Device
from gpunn.backend.contract.primitives import Primitives

__all__ = ["Array", "DType", "Device", "Layout", "Memory", "Primitives", "nothing"]
