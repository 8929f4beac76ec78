"""The optimisers: one pass over all weights, in pieces that fit a cache.

Every piece is updated by whole-array operations through scratch memory; the formulas are those of
gpunn.backend.attributes, with g = gradient_scale * gradient + decay * w and lr = learning_rate * the run's factor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpunn.arena import Run, SegmentTable
from gpunn.backend.attributes import AdaGradRule, AdamRule, RmsPropRule, SgdRule
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import share_out

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_GRADIENT, _CHANGE = 150, 151


def sgd(
    device: CpuDevice,
    parameters: Host,
    velocity: Host | None,
    gradients: Host,
    learning_rate: Host,
    gradient_scale: Host,
    step: Host,
    apply: Host,
    segments: SegmentTable,
    rule: SgdRule,
) -> None:
    """One step of gradient descent: see SgdRule."""
    if not apply[0]:
        return
    a = rule.momentum
    fresh = 1 - a if rule.style == "ema" else 1.0
    corrected = rule.style == "ema" and rule.bias_correction
    correction = 1 - a ** (int(step[0]) + 1) if corrected else 1.0
    rate, scale = float(learning_rate[0]), float(gradient_scale[0])

    def update(span: slice, run: Run) -> None:
        w = parameters[span]
        change = device.scratch(_CHANGE, w.shape, w.dtype)
        g = _gradient(device, gradients[span], w, scale, run.decay)
        factor = rate * run.learning_rate_factor / correction
        if velocity is None:
            np.multiply(g, factor, out=change)
        else:
            v = velocity[span]
            np.multiply(v, a, out=v)
            if fresh == 1:
                np.add(v, g, out=v)
            else:
                np.multiply(g, fresh, out=change)
                np.add(v, change, out=v)
            if rule.style == "nesterov":
                np.multiply(v, a, out=change)
                np.add(change, g, out=change)
                np.multiply(change, factor, out=change)
            else:
                np.multiply(v, factor, out=change)
        np.subtract(w, change, out=w)

    _for_each_run(device, segments, update)


def adam(
    device: CpuDevice,
    parameters: Host,
    first_moment: Host,
    second_moment: Host,
    gradients: Host,
    learning_rate: Host,
    gradient_scale: Host,
    step: Host,
    apply: Host,
    segments: SegmentTable,
    rule: AdamRule,
) -> None:
    """One step of Adam or AdamW: see AdamRule."""
    if not apply[0]:
        return
    t = int(step[0]) + 1
    first_correction = 1 - rule.beta1**t
    root_correction = (1 - rule.beta2**t) ** 0.5
    rate, scale = float(learning_rate[0]), float(gradient_scale[0])

    def update(span: slice, run: Run) -> None:
        w, m, r = parameters[span], first_moment[span], second_moment[span]
        change = device.scratch(_CHANGE, w.shape, w.dtype)
        g = _gradient(device, gradients[span], w, scale, 0.0 if rule.decoupled else run.decay)
        factor = rate * run.learning_rate_factor
        _average(m, g, rule.beta1, change)
        np.multiply(g, g, out=change)
        _average(r, change, rule.beta2, change)
        np.sqrt(r, out=change)
        np.multiply(change, 1 / root_correction, out=change)
        np.add(change, rule.eps, out=change)
        np.divide(m, change, out=change)
        np.multiply(change, factor / first_correction, out=change)
        if rule.decoupled and run.decay != 0:
            np.multiply(w, 1 - factor * run.decay, out=w)
        np.subtract(w, change, out=w)

    _for_each_run(device, segments, update)


def rmsprop(
    device: CpuDevice,
    parameters: Host,
    mean_square: Host,
    gradients: Host,
    learning_rate: Host,
    gradient_scale: Host,
    step: Host,
    apply: Host,
    segments: SegmentTable,
    rule: RmsPropRule,
) -> None:
    """One step of RMSProp: see RmsPropRule."""
    if not apply[0]:
        return
    rate, scale = float(learning_rate[0]), float(gradient_scale[0])

    def update(span: slice, run: Run) -> None:
        w, r = parameters[span], mean_square[span]
        change = device.scratch(_CHANGE, w.shape, w.dtype)
        g = _gradient(device, gradients[span], w, scale, run.decay)
        np.multiply(g, g, out=change)
        _average(r, change, rule.rho, change)
        _subtract_scaled(w, g, r, rule.eps, rate * run.learning_rate_factor, change)

    _for_each_run(device, segments, update)


def adagrad(
    device: CpuDevice,
    parameters: Host,
    sum_of_squares: Host,
    gradients: Host,
    learning_rate: Host,
    gradient_scale: Host,
    step: Host,
    apply: Host,
    segments: SegmentTable,
    rule: AdaGradRule,
) -> None:
    """One step of AdaGrad: see AdaGradRule."""
    if not apply[0]:
        return
    rate, scale = float(learning_rate[0]), float(gradient_scale[0])

    def update(span: slice, run: Run) -> None:
        w, r = parameters[span], sum_of_squares[span]
        change = device.scratch(_CHANGE, w.shape, w.dtype)
        g = _gradient(device, gradients[span], w, scale, run.decay)
        np.multiply(g, g, out=change)
        np.add(r, change, out=r)
        _subtract_scaled(w, g, r, rule.delta, rate * run.learning_rate_factor, change)

    _for_each_run(device, segments, update)


def _for_each_run(device: CpuDevice, segments: SegmentTable, update: Callable[[slice, Run], None]) -> None:
    """Update all trainable elements, the pieces spread over the threads."""
    shares = share_out(segments.runs)

    def work(share: int) -> None:
        with np.errstate(all="ignore"):
            for piece in shares[share]:
                update(piece.span, piece.run)

    device.parallel(work, range(len(shares)))


def _gradient(device: CpuDevice, gradient: Host, w: Host, scale: float, decay: float) -> Host:
    """scale * gradient + decay * w, in scratch memory unless it is the gradient itself."""
    if scale == 1 and decay == 0:
        return gradient
    g = device.scratch(_GRADIENT, w.shape, w.dtype)
    if decay == 0:
        np.multiply(gradient, scale, out=g)
        return g
    np.multiply(w, decay, out=g)
    if scale == 1:
        np.add(g, gradient, out=g)
        return g
    scaled = device.scratch(_CHANGE, w.shape, w.dtype)
    np.multiply(gradient, scale, out=scaled)
    np.add(g, scaled, out=g)
    return g


def _average(mean: Host, values: Host, keep: float, scratch: Host) -> None:
    """mean = keep * mean + (1 - keep) * values; `scratch` may be `values`."""
    np.multiply(mean, keep, out=mean)
    np.multiply(values, 1 - keep, out=scratch)
    np.add(mean, scratch, out=mean)


def _subtract_scaled(w: Host, g: Host, squares: Host, offset: float, rate: float, scratch: Host) -> None:
    """w -= rate * g / (sqrt(squares) + offset)."""
    np.sqrt(squares, out=scratch)
    np.add(scratch, offset, out=scratch)
    np.divide(g, scratch, out=scratch)
    np.multiply(scratch, rate, out=scratch)
    np.subtract(w, scratch, out=w)
