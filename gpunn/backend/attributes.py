"""Settings of primitives that are neither arrays nor sizes: small value objects that every backend reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, get_args

from gpunn.errors import UsageError
from gpunn.geometry import is_whole
from gpunn.precision import Multiplied

ActivationName = Literal[
    "linear", "step", "sigmoid", "tanh", "relu", "leaky_relu", "generalized_relu", "elu", "softplus", "swish"
]

DropoutMode = Literal["inverted", "classic"]
MomentumStyle = Literal["classic", "ema", "nesterov"]

#: unscale_gradients doubles the loss multiplier after so many steps without an overflow, up to the largest.
LOSS_SCALE_PATIENCE = 2000
LARGEST_LOSS_SCALE = 2.0**24


def _require(holds: bool, what: str, value: object, range_: str) -> None:
    if not holds:
        raise UsageError(f"{what} is {value}; it must be {range_}")


def _require_one_of(choices: Sequence[str], what: str, value: object) -> None:
    _require(value in choices, what, repr(value), f"one of {', '.join(choices)}")


def _require_share(what: str, value: float) -> None:
    _require(0 <= value < 1, what, value, "at least 0 and below 1")


def _require_not_negative(what: str, value: float) -> None:
    _require(0 <= value < inf, what, value, "at least 0 and finite")


def _require_above_zero(what: str, value: float) -> None:
    _require(0 < value < inf, what, value, "above 0 and finite")


@dataclass(frozen=True)
class Activation:
    """An elementwise function.

    linear x; step 1 for x > 0, else 0 (its derivative is 0); sigmoid 1 / (1 + exp(-x)); tanh; relu max(0, x);
    leaky_relu max(a x, x); generalized_relu max(0, x) + a min(0, x); elu x for x > 0, else a (exp(x) - 1);
    softplus log(1 + exp(x)); swish x * sigmoid(x). The derivative at a kink is the one from the left.

    Raises:
        UsageError: for a name that is not known, an a that is not finite, and a leaky_relu whose a lies outside 0 to
            1, where max(a x, x) is no longer leaky.
    """

    name: ActivationName
    a: float = 0.0

    def __post_init__(self) -> None:
        _require_one_of(get_args(ActivationName), "activation", self.name)
        _require(isfinite(self.a), f"{self.name}: a", self.a, "finite")
        if self.name == "leaky_relu" and not 0 <= self.a <= 1:
            raise UsageError(
                f"leaky_relu: a is {self.a}; max(a x, x) needs 0 <= a <= 1 (use generalized_relu for other slopes)"
            )

    @property
    def backward_reads(self) -> Literal["x", "y"]:
        """Which side of the function its derivative is computed from; "y" lets x be overwritten."""
        from_input = self.name in ("step", "swish") or (self.name in ("generalized_relu", "elu") and self.a < 0)
        return "x" if from_input else "y"


#: "direct" multiplies what the definition says and nothing else; "winograd" transforms first, which takes fewer
#: products and rounds more; "auto" is whichever should be faster.
ConvolutionAlgorithm = Literal["auto", "direct", "winograd"]


@dataclass(frozen=True)
class Arithmetic:
    """How the products of a convolution or a fully connected layer are computed; sums are float32 or wider.

    Attributes:
        multiplied: the number type of the factors: the arrays' own, or tf32, to which float32 factors are rounded
            (10 bits of mantissa).
        algorithm: of a convolution, where the device has several.

    Raises:
        UsageError: for a type or an algorithm that is not known.
    """

    multiplied: Multiplied
    algorithm: ConvolutionAlgorithm = "auto"

    def __post_init__(self) -> None:
        _require_one_of(get_args(Multiplied), "arithmetic: multiplied", self.multiplied)
        _require_one_of(get_args(ConvolutionAlgorithm), "arithmetic: algorithm", self.algorithm)


LINEAR = Activation("linear")
RELU = Activation("relu")


@dataclass(frozen=True)
class Dropout:
    """Which elements are dropped: p is the probability to drop, `layer` tells layers with equal shapes apart.

    An element is dropped when the upper 24 bits of its 32-bit random number are below round(p * 2^24).
    "inverted" multiplies what is kept by 1 / (1 - p) while training; "classic" multiplies by 1 - p at test time.

    Raises:
        UsageError: when p is not at least 0 and below 1, or the mode is not known.
    """

    p: float
    mode: DropoutMode
    seed: int
    layer: int

    def __post_init__(self) -> None:
        _require_share("dropout: p", self.p)
        _require_one_of(get_args(DropoutMode), "dropout: mode", self.mode)

    @property
    def threshold(self) -> int:
        """Of 2^24 equally likely numbers, those below are dropped."""
        return round(self.p * 2**24)

    @property
    def kept_factor(self) -> float:
        """What a kept element is multiplied by while training."""
        return 1.0 / (1.0 - self.p) if self.mode == "inverted" else 1.0


@dataclass(frozen=True)
class Normalization:
    """eps is added to the variance inside the root; running = (1 - momentum) * running + momentum * batch.

    Raises:
        UsageError: when eps is not above 0, or momentum not from 0 to 1.
    """

    eps: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        _require_above_zero("normalisation: eps", self.eps)
        _require(0 <= self.momentum <= 1, "normalisation: momentum", self.momentum, "from 0 to 1")


@dataclass(frozen=True)
class LocalResponse:
    """y = x / (k + alpha * sum of x^2 over n neighbouring channels)^beta; alpha multiplies the sum.

    Raises:
        UsageError: when the denominator could become 0 or negative, or n is not a whole number of 1 or more.
    """

    k: float = 2.0
    n: int = 5
    alpha: float = 1e-4
    beta: float = 0.75

    def __post_init__(self) -> None:
        _require_above_zero("local response: k", self.k)
        _require(is_whole(self.n) and self.n >= 1, "local response: n", self.n, "a whole number of 1 or more")
        _require_not_negative("local response: alpha", self.alpha)
        _require_not_negative("local response: beta", self.beta)


@dataclass(frozen=True)
class Penalty:
    """strength * sum |w|^p over the weights whose decay is not zero: p = 1 is L1; p = 2 with its 1/2 is L2.

    The value is strength / p * sum |w|^p, so that the gradient is strength * |w|^(p-1) * sign(w) for every p.

    Raises:
        UsageError: when p is not above 0, or the strength is negative.
    """

    p: float
    strength: float

    def __post_init__(self) -> None:
        _require_above_zero("penalty: p", self.p)
        _require_not_negative("penalty: strength", self.strength)


@dataclass(frozen=True)
class SgdRule:
    """Stochastic gradient descent with momentum a; g already holds the weight decay.

    "classic": v = a v + g; w -= lr v. "ema": v = a v + (1 - a) g; w -= lr v, divided by 1 - a^t with
    `bias_correction`. "nesterov": v = a v + g; w -= lr (g + a v) (Sutskever et al., 2013).

    Raises:
        UsageError: when the momentum is not at least 0 and below 1, or the style is not known.
    """

    momentum: float = 0.0
    style: MomentumStyle = "classic"
    bias_correction: bool = False

    def __post_init__(self) -> None:
        _require_share("momentum", self.momentum)
        _require_one_of(get_args(MomentumStyle), "style", self.style)


@dataclass(frozen=True)
class AdamRule:
    """Adam with both bias corrections, eps outside the root (Kingma and Ba, 2015, algorithm 1).

    `decoupled` subtracts lr * decay * w beside the step instead of adding decay * w to the gradient
    (AdamW: Loshchilov and Hutter, 2019, algorithm 2).

    Raises:
        UsageError: when a beta is not at least 0 and below 1, or eps is negative.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decoupled: bool = False

    def __post_init__(self) -> None:
        _require_share("beta1", self.beta1)
        _require_share("beta2", self.beta2)
        _require_not_negative("eps", self.eps)


@dataclass(frozen=True)
class RmsPropRule:
    """r = rho r + (1 - rho) g^2; w -= lr g / (sqrt(r) + eps): eps outside the root.

    Raises:
        UsageError: when rho is not at least 0 and below 1, or eps is negative.
    """

    rho: float = 0.9
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _require_share("rho", self.rho)
        _require_not_negative("eps", self.eps)


@dataclass(frozen=True)
class AdaGradRule:
    """r += g^2; w -= lr g / (delta + sqrt(r)): delta outside the root (Duchi, Hazan and Singer, 2011).

    Raises:
        UsageError: when delta is negative.
    """

    delta: float = 1e-7

    def __post_init__(self) -> None:
        _require_not_negative("delta", self.delta)
