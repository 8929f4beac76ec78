"""Every activation as a function of one number, from its textbook formula."""

from __future__ import annotations

from math import exp, log1p, tanh

from gpunn.backend.attributes import Activation


def activation(function: Activation, x: float) -> float:
    """f(x) in float64, for |x| up to some hundreds."""
    a = function.a
    match function.name:
        case "linear":
            return x
        case "step":
            return 1.0 if x > 0 else 0.0
        case "sigmoid":
            return 1 / (1 + exp(-x))
        case "tanh":
            return tanh(x)
        case "relu":
            return x if x > 0 else 0.0
        case "leaky_relu":
            return max(a * x, x)
        case "generalized_relu":
            return max(0.0, x) + a * min(0.0, x)
        case "elu":
            return x if x > 0 else a * (exp(x) - 1)
        case "softplus":
            return log1p(exp(x))
        case "swish":
            return x / (1 + exp(-x))


def slope_from_the_left(function: Activation, x: float, width: float = 1e-6) -> float:
    """A one-sided difference of second order: the derivative at a kink is the one from the left."""
    near, far = activation(function, x - width), activation(function, x - 2 * width)
    return (3 * activation(function, x) - 4 * near + far) / (2 * width)


def slope(function: Activation, x: float, width: float = 1e-5) -> float:
    """A central difference."""
    return (activation(function, x + width) - activation(function, x - width)) / (2 * width)
