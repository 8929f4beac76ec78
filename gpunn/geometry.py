"""The sizes of a convolution or a pooling, and what follows from them: value objects that compute, and hold no data.

Letters: N images; H, W input rows and columns; C input channels; K filters; R, S filter rows and columns;
P, Q output rows and columns; G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from numbers import Integral
from typing import Literal, NamedTuple

from gpunn.errors import UsageError

Shape = tuple[int, ...]

#: The largest number of elements of one array: kernels index with 32-bit integers.
LARGEST_ARRAY = 2**31 - 1


class Pair(NamedTuple):
    """Two numbers that belong to rows and to columns."""

    rows: int
    columns: int


class Padding(NamedTuple):
    """Rows and columns that are added on the four sides of an image."""

    top: int
    bottom: int
    left: int
    right: int


PaddingRule = Literal["none", "same", "full"] | int | tuple[int, int, int, int]


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or of NumPy."""
    return isinstance(value, Integral)


def pair(value: int | tuple[int, int]) -> Pair:
    """One number for both directions, or a number for each.

    Raises:
        UsageError: for anything else.
    """
    numbers = value if isinstance(value, tuple | list) else (value, value)
    if len(numbers) != 2 or not all(is_whole(number) for number in numbers):
        raise UsageError(f"{value!r} is neither a whole number nor two of them, (rows, columns)")
    return Pair(int(numbers[0]), int(numbers[1]))


def resolve_padding(rule: PaddingRule, size: Pair, window: Pair, stride: Pair, dilation: Pair) -> Padding:
    """The four sides that a padding rule means for an image of `size`.

    "none" adds nothing; "same" gives ceil(size / stride) outputs, the odd pixel at the end; "full" adds
    all but one row of the window on each side; a number pads all four sides.

    Raises:
        UsageError: for a rule that is not known, or a number that is negative or not whole.
    """
    reach = Pair((window.rows - 1) * dilation.rows, (window.columns - 1) * dilation.columns)
    match rule:
        case "none":
            return Padding(0, 0, 0, 0)
        case "full":
            return Padding(reach.rows, reach.rows, reach.columns, reach.columns)
        case "same":
            rows, columns = (
                max(0, (ceil(extent / step) - 1) * step + span + 1 - extent)
                for extent, step, span in zip(size, stride, reach, strict=True)
            )
            return Padding(rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
        case int():
            sides = Padding(rule, rule, rule, rule)
        case (_, _, _, _):
            sides = Padding(*rule)
        case _:
            raise UsageError(
                f"padding {rule!r} is not known; use 'none', 'same', 'full', a number, or (top, bottom, left, right)"
            )
    if not all(is_whole(side) for side in sides):
        raise UsageError(f"padding {tuple(sides)} is not whole; each side must be a whole number of 0 or more")
    if min(sides) < 0:
        raise UsageError(f"padding {tuple(sides)} is negative; each side must be 0 or more")
    return sides


def _require_positive(what: str, **values: int) -> None:
    for name, value in values.items():
        if not is_whole(value):
            raise UsageError(f"{what}: {name} is {value}; it must be a whole number")
        if value < 1:
            raise UsageError(f"{what}: {name} is {value}; it must be 1 or more")


def _require_indexable(what: str, shape: Shape) -> None:
    elements = 1
    for extent in shape:
        elements *= extent
    if elements > LARGEST_ARRAY:
        raise UsageError(
            f"{what} of shape {shape} has {elements} elements; one array holds at most {LARGEST_ARRAY}: "
            "use a smaller batch"
        )


@dataclass(frozen=True)
class Conv2dGeometry:
    """Every size of one two-dimensional convolution (cross-correlation).

    Output rows: P = floor((H + top + bottom - dilation * (R - 1) - 1) / stride) + 1, columns alike
    (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", section 2).

    Raises:
        UsageError: when a size is not positive, a channel count is not divisible by the groups, the filter
            does not fit the padded image, or an array would pass 2^31 elements.
    """

    N: int
    H: int
    W: int
    C: int
    K: int
    R: int
    S: int
    stride: Pair = Pair(1, 1)
    padding: Padding = Padding(0, 0, 0, 0)
    dilation: Pair = Pair(1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        _require_positive(
            "convolution",
            N=self.N,
            H=self.H,
            W=self.W,
            C=self.C,
            K=self.K,
            R=self.R,
            S=self.S,
            stride=min(self.stride),
            dilation=min(self.dilation),
            groups=self.groups,
        )
        if min(self.padding) < 0:
            raise UsageError(f"convolution: padding {tuple(self.padding)} is negative")
        if self.C % self.groups or self.K % self.groups:
            raise UsageError(
                f"convolution: {self.groups} groups do not divide {self.C} input channels and {self.K} filters evenly"
            )
        if self.P < 1 or self.Q < 1:
            raise UsageError(
                f"convolution: a filter of {self.R}x{self.S} with dilation {tuple(self.dilation)} is larger than the "
                f"padded {self.H + self.padding.top + self.padding.bottom}x"
                f"{self.W + self.padding.left + self.padding.right} image; pad more or use a larger image"
            )
        for what, shape in (("the input", self.input_shape), ("the output", self.output_shape)):
            _require_indexable(what, shape)

    @property
    def P(self) -> int:
        """Output rows."""
        span = self.dilation.rows * (self.R - 1) + 1
        return (self.H + self.padding.top + self.padding.bottom - span) // self.stride.rows + 1

    @property
    def Q(self) -> int:
        """Output columns."""
        span = self.dilation.columns * (self.S - 1) + 1
        return (self.W + self.padding.left + self.padding.right - span) // self.stride.columns + 1

    @property
    def input_shape(self) -> Shape:
        """(N, H, W, C)."""
        return (self.N, self.H, self.W, self.C)

    @property
    def output_shape(self) -> Shape:
        """(N, P, Q, K)."""
        return (self.N, self.P, self.Q, self.K)

    @property
    def filter_shape(self) -> Shape:
        """(R, S, C/G, K)."""
        return (self.R, self.S, self.C // self.groups, self.K)

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass over the whole batch, two per multiply-add."""
        return 2 * self.N * self.P * self.Q * self.K * self.R * self.S * (self.C // self.groups)


@dataclass(frozen=True)
class LinearGeometry:
    """Every size of one fully connected layer.

    Raises:
        UsageError: when a size is not positive, or an array would pass 2^31 elements.
    """

    N: int
    inputs: int
    outputs: int

    def __post_init__(self) -> None:
        _require_positive("fully connected layer", N=self.N, inputs=self.inputs, outputs=self.outputs)
        for what, shape in (("the input", self.input_shape), ("the output", self.output_shape)):
            _require_indexable(what, shape)
        _require_indexable("the weight", self.weight_shape)

    @property
    def input_shape(self) -> Shape:
        """(N, inputs)."""
        return (self.N, self.inputs)

    @property
    def output_shape(self) -> Shape:
        """(N, outputs)."""
        return (self.N, self.outputs)

    @property
    def weight_shape(self) -> Shape:
        """(inputs, outputs)."""
        return (self.inputs, self.outputs)

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass over the whole batch, two per multiply-add."""
        return 2 * self.N * self.inputs * self.outputs

    @property
    def as_convolution(self) -> Conv2dGeometry:
        """The same products as a convolution of images of one pixel with filters of one tap."""
        return Conv2dGeometry(self.N, 1, 1, self.inputs, self.outputs, 1, 1)


@dataclass(frozen=True)
class Pool2dGeometry:
    """Every size of one pooling over windows of R rows and S columns.

    `ceil_mode` rounds the output size up instead of down; a last window that would start outside the image
    and its leading padding is dropped.

    Raises:
        UsageError: when a size is not positive, the padding is as large as the window, or no window fits.
    """

    N: int
    H: int
    W: int
    C: int
    R: int
    S: int
    stride: Pair = Pair(1, 1)
    padding: Padding = Padding(0, 0, 0, 0)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        _require_positive(
            "pooling", N=self.N, H=self.H, W=self.W, C=self.C, R=self.R, S=self.S, stride=min(self.stride)
        )
        if min(self.padding) < 0:
            raise UsageError(f"pooling: padding {tuple(self.padding)} is negative")
        if max(self.padding.top, self.padding.bottom) >= self.R or max(self.padding.left, self.padding.right) >= self.S:
            raise UsageError(
                f"pooling: padding {tuple(self.padding)} is as large as the {self.R}x{self.S} window, "
                "so that a window would hold no pixel; pad less"
            )
        if self.P < 1 or self.Q < 1:
            raise UsageError(
                f"pooling: a window of {self.R}x{self.S} does not fit an image of {self.H}x{self.W}; "
                "use a smaller window or a larger image"
            )
        _require_indexable("the input", self.input_shape)

    def _outputs(self, size: int, before: int, after: int, window: int, stride: int) -> int:
        room = size + before + after - window
        if not self.ceil_mode:
            return room // stride + 1
        outputs = -(-room // stride) + 1
        return outputs - 1 if (outputs - 1) * stride >= size + before else outputs

    @property
    def P(self) -> int:
        """Output rows."""
        return self._outputs(self.H, self.padding.top, self.padding.bottom, self.R, self.stride.rows)

    @property
    def Q(self) -> int:
        """Output columns."""
        return self._outputs(self.W, self.padding.left, self.padding.right, self.S, self.stride.columns)

    @property
    def input_shape(self) -> Shape:
        """(N, H, W, C)."""
        return (self.N, self.H, self.W, self.C)

    @property
    def output_shape(self) -> Shape:
        """(N, P, Q, C)."""
        return (self.N, self.P, self.Q, self.C)


@dataclass(frozen=True)
class ReceptiveField:
    """How much of the input one output sees: r = sum over layers (k - 1) * product of earlier strides, + 1."""

    size: int = 1
    jump: int = 1

    def through(self, window: int, stride: int) -> ReceptiveField:
        """The field after one more layer; `window` counts the dilation in."""
        return ReceptiveField(self.size + (window - 1) * self.jump, self.jump * stride)
