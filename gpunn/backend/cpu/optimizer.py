"""The optimisers: one pass over all weights, in pieces that fit a cache.

Each optimiser says how the change of a piece is found, by whole-array operations through scratch memory; the rest is
the same for all. The formulas are those of gpunn.backend.attributes, with g = gradient_scale * gradient + decay * w and
lr = learning_rate * the run's factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.arena import SegmentTable
from gpunn.backend.attributes import AdaGradRule, AdamRule, RmsPropRule, SgdRule
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.blocks import for_each_block, pieces_of
from gpunn.backend.cpu.shared.pieces import RunPiece, share_out

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_GRADIENT, _CHANGE = 150, 151
#: NumPy calls that go over all weights; a root counts as four, a quotient as two.
_SGD, _ADAM, _RMSPROP, _ADAGRAD = 5, 16, 13, 11


@dataclass(frozen=True)
class _Step:
    """What a step of any optimiser works on."""

    device: CpuDevice
    parameters: Host
    rounded: Host | None
    gradients: Host
    learning_rate: Host
    gradient_scale: Host
    apply: Host
    segments: SegmentTable


@dataclass(frozen=True)
class _Piece:
    """Elements with one learning rate and one decay; `change` is scratch for what will be subtracted from w."""

    device: CpuDevice
    span: slice
    w: Host
    unscaled: Host
    change: Host
    scale: float
    rate: float
    decay: float

    def gradient(self, decay: float) -> Host:
        """scale * gradient + decay * w, in scratch memory unless it is the gradient itself; overwrites `change`."""
        if self.scale == 1 and decay == 0:
            return self.unscaled
        g = self.device.scratch(_GRADIENT, self.w.shape, self.w.dtype)
        if decay == 0:
            np.multiply(self.unscaled, self.scale, out=g)
            return g
        np.multiply(self.w, decay, out=g)
        if self.scale == 1:
            np.add(g, self.unscaled, out=g)
            return g
        np.multiply(self.unscaled, self.scale, out=self.change)
        np.add(g, self.change, out=g)
        return g


def sgd(
    device: CpuDevice,
    parameters: Host,
    rounded: Host | None,
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
    a = rule.momentum
    fresh = 1 - a if rule.style == "ema" else 1.0
    corrected = rule.style == "ema" and rule.bias_correction
    correction = 1 - a ** (int(step[0]) + 1) if corrected else 1.0

    def find_change(piece: _Piece) -> None:
        g, change = piece.gradient(piece.decay), piece.change
        factor = piece.rate / correction
        if velocity is None:
            np.multiply(g, factor, out=change)
        else:
            v = velocity[piece.span]
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

    _descend(
        _Step(device, parameters, rounded, gradients, learning_rate, gradient_scale, apply, segments), find_change, _SGD
    )


def adam(
    device: CpuDevice,
    parameters: Host,
    rounded: Host | None,
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
    t = int(step[0]) + 1
    first_correction = 1 - rule.beta1**t
    root_correction = (1 - rule.beta2**t) ** 0.5

    def find_change(piece: _Piece) -> None:
        m, r = first_moment[piece.span], second_moment[piece.span]
        g, change = piece.gradient(0.0 if rule.decoupled else piece.decay), piece.change
        _average(m, g, rule.beta1, change)
        np.multiply(g, g, out=change)
        _average(r, change, rule.beta2, change)
        # m / first / (sqrt(r) / root + eps), with both corrections in one factor.
        np.sqrt(r, out=change)
        np.add(change, rule.eps * root_correction, out=change)
        np.divide(m, change, out=change)
        np.multiply(change, piece.rate * root_correction / first_correction, out=change)
        if rule.decoupled and piece.decay != 0:
            np.multiply(piece.w, 1 - piece.rate * piece.decay, out=piece.w)

    _descend(
        _Step(device, parameters, rounded, gradients, learning_rate, gradient_scale, apply, segments),
        find_change,
        _ADAM,
    )


def rmsprop(
    device: CpuDevice,
    parameters: Host,
    rounded: Host | None,
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

    def find_change(piece: _Piece) -> None:
        r, g, change = mean_square[piece.span], piece.gradient(piece.decay), piece.change
        np.multiply(g, g, out=change)
        _average(r, change, rule.rho, change)
        _divide_by_root(change, g, r, rule.eps, piece.rate)

    _descend(
        _Step(device, parameters, rounded, gradients, learning_rate, gradient_scale, apply, segments),
        find_change,
        _RMSPROP,
    )


def adagrad(
    device: CpuDevice,
    parameters: Host,
    rounded: Host | None,
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

    def find_change(piece: _Piece) -> None:
        r, g, change = sum_of_squares[piece.span], piece.gradient(piece.decay), piece.change
        np.multiply(g, g, out=change)
        np.add(r, change, out=r)
        _divide_by_root(change, g, r, rule.delta, piece.rate)

    _descend(
        _Step(device, parameters, rounded, gradients, learning_rate, gradient_scale, apply, segments),
        find_change,
        _ADAGRAD,
    )


def _descend(step: _Step, find_change: Callable[[_Piece], None], passes: int) -> None:
    """Subtract from all trainable elements the change that is found for their piece, unless `apply` is 0."""
    if not step.apply[0]:
        return
    size, runs = step.segments.size, step.segments.runs
    shares = share_out(runs, -(-size // pieces_of(size, step.device.threads, passes)))
    rate, scale = float(step.learning_rate[0]), float(step.gradient_scale[0])

    def work(share: list[RunPiece]) -> None:
        for part in share:
            w, gradient = step.parameters[part.span], step.gradients[part.span]
            change = step.device.scratch(_CHANGE, w.shape, w.dtype)
            lr = rate * part.run.learning_rate_factor
            find_change(_Piece(step.device, part.span, w, gradient, change, scale, lr, part.run.decay))
            np.subtract(w, change, out=w)
            if step.rounded is not None:
                np.copyto(step.rounded[part.span], w, casting="unsafe")

    for_each_block(step.device, work, shares, passes * size)


def _average(mean: Host, values: Host, keep: float, scratch: Host) -> None:
    """mean = keep * mean + (1 - keep) * values; `scratch` may be `values`."""
    np.multiply(mean, keep, out=mean)
    np.multiply(values, 1 - keep, out=scratch)
    np.add(mean, scratch, out=mean)


def _divide_by_root(change: Host, g: Host, squares: Host, offset: float, rate: float) -> None:
    """change = rate * g / (sqrt(squares) + offset)."""
    np.sqrt(squares, out=change)
    np.add(change, offset, out=change)
    np.divide(g, change, out=change)
    np.multiply(change, rate, out=change)
