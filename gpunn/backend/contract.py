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

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from gpunn.arena import SegmentTable
from gpunn.backend.attributes import (
    Activation,
    AdaGradRule,
    AdamRule,
    Arithmetic,
    Dropout,
    LocalResponse,
    Normalization,
    Penalty,
    RmsPropRule,
    SgdRule,
)
from gpunn.backend.work import Work
from gpunn.geometry import Conv2dGeometry, LinearGeometry, Pool2dGeometry, Shape

#: An array of the device: numpy.ndarray on the CPU and in the emulator, cupy.ndarray on CUDA.
Array = Any
#: A flat piece of the device's memory, from which arrays are cut.
Memory = Any
DType = np.dtype[Any]
#: "images" may lie in the backend's own order; "plain" arrays lie row by row in their logical order.
Layout = Literal["images", "plain"]


def nothing() -> None:
    """What there is to undo, or to wait for, where `Device.pin` and `Device.upload` leave nothing."""


class Device(Protocol):
    """A handle: one device with its memory, its threads or stream, and its primitives. Nothing is global."""

    @property
    def name(self) -> str:
        """What a person calls it, such as "cpu" or "cuda:0"."""

    @property
    def hardware(self) -> str:
        """What its maker calls it."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """The names of gpunn.precision that it computes."""

    @property
    def primitives(self) -> Primitives:
        """The functions of this contract for this device."""

    def allocate(self, size: int) -> Memory:
        """`size` bytes, zero.

        Raises:
            MemoryExhaustedError: when the device has not that much.
        """

    def size_of(self, shape: Shape, dtype: DType, layout: Layout) -> int:
        """Bytes of an array, with whatever padding the backend wants."""

    def view(self, memory: Memory, offset: int, shape: Shape, dtype: DType, layout: Layout) -> Array:
        """The array that starts `offset` bytes into the memory."""

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Copy an array in logical order to the device.

        The host's array may change as soon as this returns; what lies in memory that was given to `pin`, after a call
        of what `copied` then gives.
        """

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """Keep a contiguous array of the host where it is, if the device then copies from it by itself.

        Returns:
            A function that undoes this, once the device has read what was uploaded from there; until then the array is
            kept alive. Neither raises an error: memory that cannot be pinned is as good as any other.
        """

    def copied(self) -> Callable[[], None]:
        """A function that waits until the device has read all that was uploaded so far.

        It raises no error: a device that has failed reads nothing any more, and says so when it is next used. It is
        equal to the one before as long as nothing was uploaded that has to be waited for.
        """

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """A copy in logical order, contiguous, on the host."""

    def synchronize(self) -> None:
        """Wait until everything that was started has ended."""

    def free_memory(self) -> int | None:
        """Bytes that `allocate` can still give; None when nobody knows."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function that does at every call what `run` does.

        The device may write down at one call what `run` tells it, and repeat that at later calls without `run`: so
        `run` is the same every time, and all that changes lies in the device's memory.
        """

    def timed(self, steps: Sequence[Callable[[], object]]) -> list[float]:
        """Carry out each of these, in order, and tell how many seconds the device was at it.

        Where a device works while the host goes on, what the host takes to tell it does not count.
        """

    def observe(self, run: Callable[[], None]) -> Work:
        """Carry something out, and tell how it was computed."""

    def library_product(self, y: Array, x: Array, w: Array) -> str | None:
        """y (N, outputs) = x (N, inputs) times w (inputs, outputs), all of one type, by the maker's library.

        Returns:
            What the library is called; None where there is none for the type, and nothing was computed.
        """

    def thread_plan(self) -> dict[str, int | str]:
        """What the bits of a result depend on besides the seed: kept in checkpoints, compared on resume."""

    def adopt_plan(self, plan: Mapping[str, object]) -> None:
        """Compute as the plan of a checkpoint says, as far as it speaks of this device; before programs are built."""

    def close(self) -> None:
        """Give back threads and memory."""


class Primitives(Protocol):
    """The functions of a backend."""

    # Images and copies

    def normalize_images(
        self, device: Any, y: Array, images: Array, placement: Array, mean: Array, deviation: Array
    ) -> None:
        """y[n, h, w, c] = (pixel / 255 - mean[c]) / deviation[c], the pixel cropped and mirrored.

        `images` is uint8 (N, H0, W0, C); `placement` is int32 (N, 3): the top and left corner of the crop, and 1
        to mirror it left to right. Pixels outside the picture count as 0.
        """

    def copy(self, device: Any, y: Array, x: Array, accumulate: bool) -> None:
        """y = x, or y += x; the number types may differ."""

    def fill(self, device: Any, y: Array, value: float) -> None:
        """y = value."""

    def scale(self, device: Any, y: Array, x: Array, factor: float, accumulate: bool) -> None:
        """y = factor * x, or y += factor * x."""

    # Convolution

    def convolution2d_forward(
        self,
        device: Any,
        y: Array,
        x: Array,
        w: Array,
        bias: Array | None,
        geometry: Conv2dGeometry,
        activation: Activation,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """y[n,p,q,k] = f(bias[k] + sum over r,s,c of x[n, p*stride + r*dilation - top, ..., c] * w[r,s,c,k]).

        y may have a wider type than x.
        """

    def convolution2d_forward_workspace(
        self, device: Any, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x."""

    def convolution2d_backward_data(
        self,
        device: Any,
        gx: Array,
        gy: Array,
        w: Array,
        saved: Array | None,
        geometry: Conv2dGeometry,
        activation: Activation,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gx = the transpose of the convolution applied to gy, times the derivative f' of the activation before it.

        `saved` is what activation_backward reads, None when f is linear; `accumulate` goes with a linear f only.
        """

    def convolution2d_backward_data_workspace(
        self, device: Any, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of gy."""

    def convolution2d_backward_filter(
        self,
        device: Any,
        gw: Array,
        gbias: Array | None,
        x: Array,
        gy: Array,
        geometry: Conv2dGeometry,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gw[r,s,c,k] = sum over n,p,q of x[n, p*stride + r*dilation - top, ..., c] * gy[n,p,q,k]; gbias = sum gy."""

    def convolution2d_backward_filter_workspace(
        self, device: Any, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x and gy."""

    # Locally connected: a convolution whose filters differ from place to place

    def locally_connected2d_forward(
        self, device: Any, y: Array, x: Array, w: Array, bias: Array | None, geometry: Conv2dGeometry
    ) -> None:
        """As convolution2d_forward with w (P, Q, R, S, C, K) and bias (P, Q, K); one group."""

    def locally_connected2d_backward_data(
        self, device: Any, gx: Array, gy: Array, w: Array, geometry: Conv2dGeometry, accumulate: bool
    ) -> None:
        """gx = the transpose applied to gy."""

    def locally_connected2d_backward_filter(
        self,
        device: Any,
        gw: Array,
        gbias: Array | None,
        x: Array,
        gy: Array,
        geometry: Conv2dGeometry,
        accumulate: bool,
    ) -> None:
        """gw[p,q,r,s,c,k] = sum over n of the product of input and gy; gbias[p,q,k] = sum over n of gy."""

    # Linear

    def linear_forward(
        self,
        device: Any,
        y: Array,
        x: Array,
        w: Array,
        bias: Array | None,
        geometry: LinearGeometry,
        activation: Activation,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """y = f(x w + bias): x (N, inputs), w (inputs, outputs). y may have a wider type than x."""

    def linear_forward_workspace(
        self, device: Any, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x."""

    def linear_backward_data(
        self,
        device: Any,
        gx: Array,
        gy: Array,
        w: Array,
        saved: Array | None,
        geometry: LinearGeometry,
        activation: Activation,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gx = gy w^T, times the derivative of the activation before it, as in convolution2d_backward_data."""

    def linear_backward_data_workspace(
        self, device: Any, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of gy."""

    def linear_backward_weight(
        self,
        device: Any,
        gw: Array,
        gbias: Array | None,
        x: Array,
        gy: Array,
        geometry: LinearGeometry,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gw = x^T gy; gbias = the column sums of gy."""

    def linear_backward_weight_workspace(
        self, device: Any, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x and gy."""

    # Pooling

    def maximum_pool2d_forward(
        self, device: Any, y: Array, argmax: Array | None, x: Array, geometry: Pool2dGeometry
    ) -> None:
        """The largest of each window; `argmax` is its place in the window, r * S + s, the first one on a tie.

        `argmax` is uint8, or int32 for windows of more than 256; None when no backward pass follows.
        """

    def maximum_pool2d_backward(
        self, device: Any, gx: Array, gy: Array, argmax: Array, geometry: Pool2dGeometry, accumulate: bool
    ) -> None:
        """gy goes to the place that won."""

    def mean_pool2d_forward(self, device: Any, y: Array, x: Array, geometry: Pool2dGeometry) -> None:
        """The mean over the pixels of each window that lie in the image."""

    def mean_pool2d_backward(
        self, device: Any, gx: Array, gy: Array, geometry: Pool2dGeometry, accumulate: bool
    ) -> None:
        """gy, divided by that count, goes to each of those pixels."""

    def median_pool2d_forward(
        self, device: Any, y: Array, x: Array, geometry: Pool2dGeometry, workspace: Memory
    ) -> None:
        """The median over the pixels of each window that lie in the image; of an even number, the mean of two."""

    def median_pool2d_forward_workspace(self, device: Any, geometry: Pool2dGeometry, dtype: DType) -> int:
        """Bytes of scratch."""

    def median_pool2d_backward(
        self, device: Any, gx: Array, gy: Array, x: Array, geometry: Pool2dGeometry, accumulate: bool, workspace: Memory
    ) -> None:
        """gy goes to the median pixel, the first in order (r, s) on a tie; of an even number, half to each."""

    def median_pool2d_backward_workspace(self, device: Any, geometry: Pool2dGeometry, dtype: DType) -> int:
        """Bytes of scratch."""

    def global_mean_pool2d_forward(self, device: Any, y: Array, x: Array) -> None:
        """y (N, C) = the mean over all rows and columns."""

    def global_mean_pool2d_backward(self, device: Any, gx: Array, gy: Array, accumulate: bool) -> None:
        """gx = gy / (H W) everywhere."""

    # Shape and branches

    def flatten_forward(self, device: Any, y: Array, x: Array) -> None:
        """y (N, H*W*C) in the order h, w, c."""

    def flatten_backward(self, device: Any, gx: Array, gy: Array, accumulate: bool) -> None:
        """The reverse copy."""

    def add(self, device: Any, y: Array, xs: Sequence[Array]) -> None:
        """y = the sum of all xs, from left to right."""

    def concatenate_forward(self, device: Any, y: Array, xs: Sequence[Array]) -> None:
        """The channels (or features) of all xs, one after another."""

    def concatenate_backward(self, device: Any, gx: Array, gy: Array, start: int, accumulate: bool) -> None:
        """gx = the channels of gy from `start` on."""

    # Normalisation

    def batch_norm_forward(
        self,
        device: Any,
        y: Array,
        mean: Array,
        inverse_deviation: Array,
        running_mean: Array,
        running_variance: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        settings: Normalization,
        activation: Activation,
    ) -> None:
        """y = f(gamma (x - mean) / sqrt(variance + eps) + beta) over all but the last axis, biased variance.

        Saves `mean` and `inverse_deviation`; moves the running mean and the running unbiased variance.
        (Ioffe and Szegedy, 2015, algorithm 1.)
        """

    def batch_norm_inference(
        self,
        device: Any,
        y: Array,
        x: Array,
        running_mean: Array,
        running_variance: Array,
        gamma: Array,
        beta: Array,
        settings: Normalization,
        activation: Activation,
    ) -> None:
        """The same function with the running statistics."""

    def fold_batch_norm(
        self,
        device: Any,
        filters: Array,
        offset: Array,
        w: Array,
        bias: Array | None,
        running_mean: Array,
        running_variance: Array,
        gamma: Array,
        beta: Array,
        settings: Normalization,
    ) -> None:
        """filters[..., k] = s[k] w[..., k]; offset[k] = s[k] (bias[k] - mean[k]) + beta[k]; s = gamma / deviation.

        A convolution with these computes batch_norm_inference after the convolution with w and bias. `filters` may
        have a narrower type than w.
        """

    def batch_norm_backward(
        self,
        device: Any,
        gx: Array | None,
        ggamma: Array,
        gbeta: Array,
        gy: Array,
        x: Array,
        mean: Array,
        inverse_deviation: Array,
        gamma: Array,
        accumulate: bool,
        accumulate_parameters: bool,
    ) -> None:
        """Gradients through the batch statistics; gx may be None."""

    def group_norm_forward(
        self,
        device: Any,
        y: Array,
        mean: Array,
        inverse_deviation: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        groups: int,
        eps: float,
    ) -> None:
        """As batch norm, over the rows, columns and channels of each group of one image (Wu and He, 2018).

        `mean` and `inverse_deviation` are (N, groups).
        """

    def group_norm_backward(
        self,
        device: Any,
        gx: Array | None,
        ggamma: Array,
        gbeta: Array,
        gy: Array,
        x: Array,
        mean: Array,
        inverse_deviation: Array,
        gamma: Array,
        groups: int,
        accumulate: bool,
        accumulate_parameters: bool,
    ) -> None:
        """Gradients through the statistics; gx may be None."""

    def local_response_norm_forward(
        self, device: Any, y: Array, denominator: Array, x: Array, settings: LocalResponse
    ) -> None:
        """y = x / d^beta; d = k + alpha * sum of x^2 over channels c - n//2 to c - n//2 + n - 1 is saved.

        (Krizhevsky, Sutskever and Hinton, 2012, section 3.3.)
        """

    def local_response_norm_backward(
        self,
        device: Any,
        gx: Array,
        gy: Array,
        x: Array,
        y: Array,
        denominator: Array,
        settings: LocalResponse,
        accumulate: bool,
    ) -> None:
        """gx = gy / d^beta - 2 alpha beta x * sum over the mirrored window of gy y / d."""

    # Elementwise

    def activation_forward(self, device: Any, y: Array, x: Array, function: Activation) -> None:
        """y = f(x); y may be x."""

    def activation_backward(
        self, device: Any, gx: Array, gy: Array, saved: Array, function: Activation, accumulate: bool
    ) -> None:
        """gx = gy f'; `saved` is x or y, as function.backward_reads says; gx may be gy."""

    def parametric_relu_forward(self, device: Any, y: Array, x: Array, slope: Array) -> None:
        """y = max(0, x) + slope[c] min(0, x) (He et al., 2015)."""

    def parametric_relu_backward(
        self,
        device: Any,
        gx: Array | None,
        gslope: Array,
        gy: Array,
        x: Array,
        slope: Array,
        accumulate: bool,
        accumulate_parameters: bool,
    ) -> None:
        """Gradients of x and of the slopes."""

    def dropout_forward(
        self, device: Any, y: Array, mask: Array, x: Array, step: Array, first_image: Array, settings: Dropout
    ) -> None:
        """y = kept_factor * x where kept, else 0; `mask` (uint8) is 1 where kept; y may be x.

        Element i of the whole batch in N, H, W, C order, images counted from first_image[0], uses the 32-bit
        word i % 8 (low half first) of Philox block i // 8, key (seed, DROPOUT), counter words (step, layer).
        """

    def dropout_backward(
        self, device: Any, gx: Array, gy: Array, mask: Array, settings: Dropout, accumulate: bool
    ) -> None:
        """gx = kept_factor * gy where kept, else 0."""

    def softmax_forward(self, device: Any, y: Array, x: Array) -> None:
        """y (N, K) = exp(x) / sum exp(x), the row's largest subtracted first."""

    def softmax_backward(self, device: Any, gx: Array, gy: Array, y: Array, accumulate: bool) -> None:
        """gx = y (gy - sum of gy y over the row)."""

    # Losses: `loss` is one number an image; `gradient` (None: not wanted) is multiplied by weight * loss_scale[0], and
    # may have a narrower type than the logits

    def softmax_cross_entropy(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        ranks: Array,
        logits: Array,
        labels: Array,
        loss_scale: Array,
        smoothing: float,
        weight: float,
        accumulate: bool,
    ) -> None:
        """loss = -sum q log softmax(logits), q = (1 - smoothing) [k = label] + smoothing / K.

        (Szegedy et al., 2016, section 7.) `ranks` (int32) counts the classes that score above the label, earlier
        ones on a tie: 0 is a top-1 hit, below 5 a top-5 hit.
        """

    def softmax_cross_entropy_soft(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        ranks: Array,
        logits: Array,
        targets: Array,
        loss_scale: Array,
        smoothing: float,
        weight: float,
        accumulate: bool,
    ) -> None:
        """The same with `targets` (N, K) that sum to 1; the label of `ranks` is the first largest target."""

    def binary_cross_entropy(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        logits: Array,
        targets: Array,
        loss_scale: Array,
        weight: float,
        accumulate: bool,
    ) -> None:
        """loss = sum over the row of log(1 + exp(x)) - t x, which is cross-entropy on sigmoid(x)."""

    def squared_error(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        predictions: Array,
        targets: Array,
        loss_scale: Array,
        factor: float,
        weight: float,
        accumulate: bool,
    ) -> None:
        """loss = factor * sum over the row of (x - t)^2."""

    def record_losses(self, device: Any, totals: Array, loss: Array, ranks: Array | None, apply: Array) -> None:
        """totals (float64, 4) += sum of loss, top-1 hits, top-5 hits, images; nothing when apply[0] is 0."""

    def penalty_value(
        self, device: Any, value: Array, parameters: Array, segments: SegmentTable, penalty: Penalty
    ) -> None:
        """value (float64, 1) = strength / p * sum |w|^p over the segments with decay."""

    def penalty_gradient(
        self, device: Any, gradients: Array, parameters: Array, segments: SegmentTable, penalty: Penalty
    ) -> None:
        """gradients += strength * |w|^(p-1) * sign(w) over the segments with decay."""

    # Loss scaling, for types with a narrow range (Micikevicius et al., "Mixed precision training", 2018, section 3.2)

    def set_loss_scale(self, device: Any, loss_scale: Array, loss_share: Array, loss_multiplier: Array) -> None:
        """loss_scale = loss_share * loss_multiplier."""

    def unscale_gradients(
        self, device: Any, gradients: Array, loss_multiplier: Array, finite_steps: Array, apply: Array
    ) -> None:
        """gradients /= loss_multiplier; nothing when apply[0] is 0.

        When a gradient is not finite, apply = 0, the multiplier is halved (not below 1) and finite_steps = 0; else
        finite_steps += 1, and after LOSS_SCALE_PATIENCE steps in a row the multiplier is doubled, up to
        LARGEST_LOSS_SCALE.
        """

    # The update: flat arrays, and one call for all weights. The optimisers do nothing when apply[0] is 0, and count
    # t = step + 1; `rounded` (None: not wanted) gets a copy of the new parameters in the stored type

    def finite_check(self, device: Any, apply: Array, latched_step: Array, values: Array, step: Array) -> None:
        """Clear `apply` when a value is not finite, and keep the first such step in `latched_step` (-1: none)."""

    def clip_global_norm(
        self, device: Any, norm: Array, gradient_scale: Array, gradients: Array, segments: SegmentTable, maximum: float
    ) -> None:
        """norm = the root of the sum of squares of all trainable gradients; gradient_scale = min(1, maximum / norm).

        (Pascanu, Mikolov and Bengio, 2013, algorithm 1.)
        """

    def sgd(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        velocity: Array | None,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: SgdRule,
    ) -> None:
        """One step over the runs of `segments`: g = gradient_scale * gradient + decay * w; see SgdRule.

        `velocity` is None without momentum.
        """

    def adam(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        first_moment: Array,
        second_moment: Array,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: AdamRule,
    ) -> None:
        """See AdamRule."""

    def rmsprop(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        mean_square: Array,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: RmsPropRule,
    ) -> None:
        """See RmsPropRule."""

    def adagrad(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        sum_of_squares: Array,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: AdaGradRule,
    ) -> None:
        """See AdaGradRule."""

    def commit_statistics(self, device: Any, statistics: Array, pending: Array, apply: Array) -> None:
        """Keep the running statistics that a step proposed (statistics = pending), or undo them (the reverse)."""

    def advance(self, device: Any, step: Array, apply: Array, latched_step: Array) -> None:
        """step += 1 and apply = 1, as long as latched_step is -1: after a void step that is latched, all are void."""
