"""Settings outside their range are refused where they are made, with the value and what would be right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gpunn.backend.attributes import (
    Activation,
    AdaGradRule,
    AdamRule,
    Dropout,
    LocalResponse,
    Normalization,
    Penalty,
    RmsPropRule,
    SgdRule,
)
from gpunn.errors import UsageError

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Activation("reelu"), r"activation is 'reelu'; it must be one of linear, step, .*, swish"),
        (lambda: Activation("elu", INFINITY), "elu: a is inf; it must be finite"),
        (lambda: Activation("generalized_relu", NAN), "generalized_relu: a is nan"),
        (lambda: Activation("leaky_relu", NAN), "leaky_relu: a is nan"),
        (lambda: Dropout(1.0, "inverted", 0, 0), "dropout: p is 1.0; .* at least 0 and below 1"),
        (lambda: Dropout(NAN, "inverted", 0, 0), "dropout: p is nan"),
        (lambda: Dropout(0.5, "clasic", 0, 0), "dropout: mode is 'clasic'; it must be one of inverted, classic"),
        (lambda: Normalization(eps=-1.0), "normalisation: eps is -1.0; it must be above 0 and finite"),
        (lambda: Normalization(eps=NAN), "normalisation: eps is nan"),
        (lambda: Normalization(momentum=3.0), "normalisation: momentum is 3.0; it must be from 0 to 1"),
        (lambda: LocalResponse(k=0.0), "local response: k is 0.0; it must be above 0 and finite"),
        (lambda: LocalResponse(n=0), "local response: n is 0; it must be a whole number of 1 or more"),
        (lambda: LocalResponse(n=2.5), "local response: n is 2.5"),
        (lambda: LocalResponse(alpha=-1e-4), "local response: alpha is -0.0001; it must be at least 0 and finite"),
        (lambda: LocalResponse(beta=INFINITY), "local response: beta is inf; it must be at least 0 and finite"),
        (lambda: Penalty(0, 0.1), "penalty: p is 0; it must be above 0 and finite"),
        (lambda: Penalty(1, -1.0), "penalty: strength is -1.0; it must be at least 0 and finite"),
        (lambda: SgdRule(momentum=1.0), "momentum is 1.0; it must be at least 0 and below 1"),
        (lambda: SgdRule(style="foo"), "style is 'foo'; it must be one of classic, ema, nesterov"),
        (lambda: AdamRule(beta1=-0.1), "beta1 is -0.1"),
        (lambda: AdamRule(beta2=NAN), "beta2 is nan"),
        (lambda: AdamRule(eps=-1e-8), "eps is -1e-08; it must be at least 0 and finite"),
        (lambda: RmsPropRule(rho=1.0), "rho is 1.0"),
        (lambda: RmsPropRule(eps=INFINITY), "eps is inf"),
        (lambda: AdaGradRule(delta=NAN), "delta is nan"),
    ],
)
def test_numbers_outside_their_range_are_refused(make: Callable[[], object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        make()


def test_the_ends_of_a_range_belong_to_it() -> None:
    assert Dropout(0.0, "classic", 0, 0).threshold == 0
    assert Normalization(momentum=0.0) != Normalization(momentum=1.0)
    assert LocalResponse(n=1, alpha=0.0, beta=0.0).n == 1
    assert Penalty(0.5, 0.0).p == 0.5
    assert SgdRule(momentum=0.0).momentum == 0.0
    assert AdamRule(beta1=0.0, beta2=0.0, eps=0.0).eps == 0.0
