"""sgd.cu against the rules written out in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.arena import Part, SegmentTable, place
from gpunn.backend.attributes import SgdRule
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import UsageError
from tests.backend.arrays import Host, reals, upload

TABLE = place(
    [
        Part("conv1.weight", (3, 3, 3, 20), decay=0.01),
        Part("conv1.bias", (20,), learning_rate_factor=2.0),
        Part("frozen", (70,), trainable=False),
        Part("fc.weight", (130, 5), decay=0.1, learning_rate_factor=0.5),
        Part("fc.bias", (1,)),
    ]
)
LEARNING_RATE = 0.03
GRADIENT_SCALE = 0.25
RULES = {
    "plain": SgdRule(),
    "classic": SgdRule(momentum=0.9),
    "ema": SgdRule(momentum=0.9, style="ema"),
    "ema, corrected": SgdRule(momentum=0.9, style="ema", bias_correction=True),
    "nesterov": SgdRule(momentum=0.8, style="nesterov"),
    "correction without average": SgdRule(momentum=0.9, bias_correction=True),
}


def scalar(device: CudaDevice, value: float, dtype: Any) -> Any:
    return upload(device, np.array([value], dtype))


def step_once(
    device: CudaDevice, table: SegmentTable, w: Any, v: Any, gradients: Any, rule: SgdRule, step: int, apply: int = 1
) -> None:
    device.primitives.sgd(
        device,
        w,
        v,
        gradients,
        scalar(device, LEARNING_RATE, np.float64),
        scalar(device, GRADIENT_SCALE, np.float64),
        scalar(device, step, np.int64),
        scalar(device, apply, np.int32),
        table,
        rule,
    )


def expected(w: Host, v: Host, gradients: Host, rule: SgdRule, step: int) -> tuple[Host, Host]:
    """One step in float64, element by element."""
    w, v = w.astype(np.float64), v.astype(np.float64)
    a = rule.momentum
    for segment in TABLE:
        if not segment.trainable:
            continue
        for i in range(segment.offset, segment.stop):
            g = GRADIENT_SCALE * float(gradients[i]) + segment.decay * w[i]
            v[i] = a * v[i] + ((1 - a) * g if rule.style == "ema" else g)
            change = g + a * v[i] if rule.style == "nesterov" else v[i]
            if rule.style == "ema" and rule.bias_correction:
                change /= 1 - a ** (step + 1)
            w[i] -= LEARNING_RATE * segment.learning_rate_factor * change
    return w, v


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_three_steps(every_way: CudaDevice, rule: SgdRule) -> None:
    w = reals(1, (TABLE.size,), np.float32)
    v = np.zeros_like(w)
    held_w = upload(every_way, w)
    held_v = upload(every_way, v) if rule.momentum else None
    for step in range(3):
        gradients = reals(10 + step, w.shape, np.float32)
        want_w, want_v = expected(w, v, gradients, rule, step)
        step_once(every_way, TABLE, held_w, held_v, upload(every_way, gradients), rule, step)
        w = every_way.download(held_w)
        np.testing.assert_allclose(trained(w), trained(want_w), rtol=3e-7, atol=3e-7)
        if held_v is not None:
            v = every_way.download(held_v)
            np.testing.assert_allclose(trained(v), trained(want_v), rtol=3e-7, atol=3e-7)


def trained(array: Host) -> Host:
    """The elements that the optimiser must have moved; what lies in the gaps between parameters does not count."""
    return np.concatenate([array[segment.offset : segment.stop] for segment in TABLE if segment.trainable])


def test_frozen_parameters_are_not_touched(every_way: CudaDevice) -> None:
    w = upload(every_way, np.full(TABLE.size, np.nan, np.float32))
    v = upload(every_way, np.full(TABLE.size, np.inf, np.float32))
    step_once(every_way, TABLE, w, v, upload(every_way, reals(2, (TABLE.size,), np.float32)), RULES["classic"], 0)
    frozen = TABLE["frozen"]
    assert np.isnan(every_way.download(w)[frozen.offset : frozen.stop]).all()
    assert np.isinf(every_way.download(v)[frozen.offset : frozen.stop]).all()


def test_gaps_keep_their_zeros(fast: CudaDevice) -> None:
    gaps = np.ones(TABLE.size, bool)
    for segment in TABLE:
        gaps[segment.offset : segment.stop] = False
    values = np.where(gaps, 0, reals(3, (TABLE.size,), np.float32)).astype(np.float32)
    w, v, gradients = (upload(fast, values) for _ in range(3))
    step_once(fast, TABLE, w, v, gradients, RULES["nesterov"], 0)
    assert not fast.download(w)[gaps].any()


def test_nothing_happens_when_the_step_is_void(every_way: CudaDevice) -> None:
    before = reals(4, (TABLE.size,), np.float32)
    w, v, gradients = (upload(every_way, before) for _ in range(3))
    step_once(every_way, TABLE, w, v, gradients, RULES["classic"], 0, apply=0)
    np.testing.assert_array_equal(every_way.download(w), before)
    np.testing.assert_array_equal(every_way.download(v), before)


def test_array_may_end_with_the_last_parameter(check: CudaDevice) -> None:
    """The last chunk of 64 is then not whole."""
    table = place([Part("weight", (70,))])
    w, gradients = upload(check, np.ones(70, np.float32)), upload(check, np.ones(70, np.float32))
    step_once(check, table, w, None, gradients, SgdRule(), 0)
    np.testing.assert_allclose(check.download(w), 1 - LEARNING_RATE * GRADIENT_SCALE, rtol=1e-7)


def test_network_without_trainable_parameters(fast: CudaDevice) -> None:
    table = place([Part("weight", (70,), trainable=False)])
    w = upload(fast, np.ones(128, np.float32))
    step_once(fast, table, w, None, w, SgdRule(), 0)
    np.testing.assert_array_equal(fast.download(w), 1)


def test_wrong_arrays_are_refused(fast: CudaDevice) -> None:
    w = upload(fast, np.ones(TABLE.size, np.float32))
    with pytest.raises(UsageError, match=r"momentum 0\.9 needs a velocity array"):
        step_once(fast, TABLE, w, None, w, RULES["classic"], 0)
    with pytest.raises(UsageError, match="all must have one size"):
        step_once(fast, TABLE, w, w[:64], w, RULES["classic"], 0)
    with pytest.raises(UsageError, match="at least"):
        step_once(fast, TABLE, w[:64], None, w[:64], SgdRule(), 0)
