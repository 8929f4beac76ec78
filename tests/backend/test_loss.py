"""Losses, gradients and ranks against loops; stability far from zero; totals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from tests.backend.arrays import Host, unwritten, upload, upload_slice
from tests.cases.loss import SHAPES
from tests.reference import loss as reference

WEIGHT, LOSS_SCALE = 0.25, 128.0


def one(device: Device, value: float, dtype: Any = np.float64) -> Any:
    return upload(device, np.array([value], dtype), "plain")


def some_scores(shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 0) -> Host:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(dtype)


def some_labels(N: int, K: int) -> Host:
    return np.random.default_rng(9).integers(0, K, N).astype(np.int32)


def some_targets(shape: tuple[int, int], dtype: Any = np.float64) -> Host:
    return np.random.default_rng(8).dirichlet(np.ones(shape[1]), shape[0]).astype(dtype)


def hard(
    device: Device,
    scores: Host,
    labels: Host,
    smoothing: float = 0.0,
    before: Host | None = None,
    weight: float = WEIGHT,
    loss_scale: float = LOSS_SCALE,
) -> tuple[Host, Host, Host]:
    """Loss, gradient and ranks; the gradient is added to `before` where that is given."""
    N = len(scores)
    loss, ranks = unwritten(device, (N,), scores.dtype), unwritten(device, (N,), np.int32)
    gradient = unwritten(device, scores.shape, scores.dtype) if before is None else upload_slice(device, before)
    device.primitives.softmax_cross_entropy(
        device,
        loss,
        gradient,
        ranks,
        upload_slice(device, scores),
        upload(device, labels),
        one(device, loss_scale),
        smoothing,
        weight,
        before is not None,
    )
    return device.download(loss), device.download(gradient), device.download(ranks)


def soft(
    device: Device, scores: Host, targets: Host, smoothing: float = 0.0, before: Host | None = None
) -> tuple[Host, Host, Host]:
    N = len(scores)
    loss, ranks = unwritten(device, (N,), scores.dtype), unwritten(device, (N,), np.int32)
    gradient = unwritten(device, scores.shape, scores.dtype) if before is None else upload_slice(device, before)
    device.primitives.softmax_cross_entropy_soft(
        device,
        loss,
        gradient,
        ranks,
        upload(device, scores),
        upload_slice(device, targets),
        one(device, LOSS_SCALE),
        smoothing,
        WEIGHT,
        before is not None,
    )
    return device.download(loss), device.download(gradient), device.download(ranks)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_with_labels(device: Device, shape: tuple[int, int], smoothing: float, dtype: Any) -> None:
    N, K = shape
    scores, labels, before = some_scores(shape, dtype), some_labels(N, K), some_scores(shape, dtype, 1)
    rows = range(0, N, max(1, N // 20))
    targets = [reference.smoothed(reference.one_hot(labels[n], K), smoothing) for n in rows]
    wide = [[float(x) for x in scores[n]] for n in rows]
    losses = [reference.cross_entropy(*pair) for pair in zip(wide, targets, strict=True)]
    gradients = np.array([reference.cross_entropy_gradient(*pair) for pair in zip(wide, targets, strict=True)])
    scale = WEIGHT * LOSS_SCALE
    unit = np.finfo(dtype).eps
    for start in (None, before):
        loss, gradient, ranks = hard(device, scores, labels, smoothing, start)
        np.testing.assert_allclose(loss[rows], losses, rtol=50 * unit, atol=50 * unit)
        expected = scale * gradients + (0 if start is None else before[rows])
        np.testing.assert_allclose(gradient[rows], expected, rtol=50 * unit, atol=50 * unit * scale)
        assert ranks[rows].tolist() == [reference.rank(scores[n], labels[n]) for n in rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_cross_entropy_with_soft_targets(device: Device, shape: tuple[int, int], smoothing: float, dtype: Any) -> None:
    scores, targets, before = some_scores(shape, dtype), some_targets(shape, dtype), some_scores(shape, dtype, 1)
    wanted = [reference.smoothed([float(t) for t in row], smoothing) for row in targets]
    wide = scores.astype(np.float64).tolist()
    losses = [reference.cross_entropy(*pair) for pair in zip(wide, wanted, strict=True)]
    gradients = np.array([reference.cross_entropy_gradient(*pair) for pair in zip(wide, wanted, strict=True)])
    scale = WEIGHT * LOSS_SCALE
    unit = np.finfo(dtype).eps
    for start in (None, before):
        loss, gradient, ranks = soft(device, scores, targets, smoothing, start)
        np.testing.assert_allclose(loss, losses, rtol=50 * unit, atol=50 * unit)
        expected = scale * gradients + (0 if start is None else before)
        np.testing.assert_allclose(gradient, expected, rtol=50 * unit, atol=50 * unit * scale)
        largest = [row.tolist().index(row.max()) for row in targets]
        assert ranks.tolist() == [reference.rank(s, label) for s, label in zip(scores, largest, strict=True)]


def test_gradients_are_differences_of_the_loss(device: Device) -> None:
    scores, labels, targets = some_scores((5, 7)), some_labels(5, 7), some_targets((5, 7))
    width = 1e-6
    for run, wanted in ((hard, labels), (soft, targets)):
        gradient = run(device, scores, wanted, 0.1)[1] / (WEIGHT * LOSS_SCALE)
        for k in range(7):
            move = np.zeros((5, 7))
            move[:, k] = width
            difference = run(device, scores + move, wanted, 0.1)[0] - run(device, scores - move, wanted, 0.1)[0]
            np.testing.assert_allclose(gradient[:, k], difference / (2 * width), rtol=1e-6, atol=1e-9)


def test_equal_scores_rank_by_index(device: Device) -> None:
    """An untrained network with equal scores hits the first class only."""
    labels = np.arange(6, dtype=np.int32)
    assert hard(device, np.zeros((6, 6), np.float32), labels)[2].tolist() == [0, 1, 2, 3, 4, 5]
    scores = np.array([[1, 3, 3, 2, 3, -1]] * 6, np.float32)
    assert hard(device, scores, labels)[2].tolist() == [4, 0, 1, 3, 2, 5]


def test_equal_targets_mean_the_first(device: Device) -> None:
    targets = np.array([[0, 0.5, 0.5], [0.4, 0.2, 0.4]], np.float32)
    assert soft(device, np.array([[3, 2, 1], [1, 2, 3]], np.float32), targets)[2].tolist() == [1, 2]


def test_a_score_that_is_nan_is_no_hit(device: Device) -> None:
    nan = np.nan
    scores = np.array([[nan] * 8, [nan, 5, 0, 0, 0, 0, 0, 0], [nan, 5, 0, 0, 0, 0, 0, 0]], np.float32)
    ranks = hard(device, scores, np.array([0, 0, 1], np.int32))[2]
    assert ranks[0] >= 5
    assert ranks[1] >= 5
    assert ranks[2] == 1


def test_cross_entropy_far_from_zero(device: Device) -> None:
    scores = np.array([[1000, -1000], [1000, -1000], [5e4, 5e4]], np.float32)
    loss, gradient, _ = hard(device, scores, np.array([0, 1, 1], np.int32), weight=1, loss_scale=1)
    np.testing.assert_allclose(loss, [0, 2000, np.log(2)], rtol=1e-6)
    assert gradient.tolist() == [[0, 0], [1, -1], [0.5, -0.5]]


def test_a_uniform_guess_costs_the_logarithm_of_the_classes(device: Device) -> None:
    np.testing.assert_allclose(hard(device, np.zeros((3, 10)), some_labels(3, 10))[0], np.log(10), rtol=1e-15)


def test_losses_without_a_gradient(device: Device) -> None:
    scores, labels, targets = some_scores((4, 5)), some_labels(4, 5), some_targets((4, 5))
    x, t, scale = upload(device, scores), upload(device, targets), one(device, 1)
    loss, ranks = unwritten(device, (4,), np.float64), unwritten(device, (4,), np.int32)
    primitives = device.primitives
    primitives.softmax_cross_entropy(device, loss, None, ranks, x, upload(device, labels), scale, 0.0, 1.0, False)
    np.testing.assert_allclose(device.download(loss), hard(device, scores, labels)[0])
    primitives.softmax_cross_entropy_soft(device, loss, None, ranks, x, t, scale, 0.0, 1.0, False)
    np.testing.assert_allclose(device.download(loss), soft(device, scores, targets)[0])
    primitives.binary_cross_entropy(device, loss, None, x, t, scale, 1.0, False)
    rows = zip(scores, targets, strict=True)
    np.testing.assert_allclose(device.download(loss), [reference.binary_cross_entropy(*row) for row in rows])
    primitives.squared_error(device, loss, None, x, t, scale, 0.5, 1.0, False)
    np.testing.assert_allclose(device.download(loss), 0.5 * ((scores - targets) ** 2).sum(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (7, 4), (3, 4, 5, 2)], ids=str)
@pytest.mark.parametrize("name", ["binary", "squared"])
def test_losses_of_numbers(device: Device, name: str, shape: tuple[int, ...], dtype: Any) -> None:
    x, before = some_scores(shape, dtype), some_scores(shape, dtype, 1)
    targets = np.random.default_rng(2).random(shape).astype(dtype)
    wide = [(row.ravel().tolist(), t.ravel().tolist()) for row, t in zip(x, targets, strict=True)]
    if name == "binary":
        function, extra = device.primitives.binary_cross_entropy, ()
        losses = [reference.binary_cross_entropy(*row) for row in wide]
        gradients = [reference.binary_cross_entropy_gradient(*row) for row in wide]
    else:
        function, extra = device.primitives.squared_error, (0.5,)
        losses = [reference.squared_error(*row, 0.5) for row in wide]
        gradients = [reference.squared_error_gradient(*row, 0.5) for row in wide]
    unit = np.finfo(dtype).eps
    scale = WEIGHT * LOSS_SCALE
    for accumulate in (False, True):
        loss, gradient = unwritten(device, shape[:1], dtype), upload_slice(device, before)
        arrays = upload_slice(device, x), upload(device, targets), one(device, LOSS_SCALE)
        function(device, loss, gradient, *arrays, *extra, WEIGHT, accumulate)
        np.testing.assert_allclose(device.download(loss), losses, rtol=50 * unit)
        expected = scale * np.array(gradients).reshape(shape) + accumulate * before
        np.testing.assert_allclose(device.download(gradient), expected, rtol=20 * unit, atol=20 * unit * scale)


def test_binary_cross_entropy_far_from_zero(device: Device) -> None:
    x, t = np.array([[1000], [1000], [-1000], [-1000]], np.float32), np.array([[1], [0], [0], [1]], np.float32)
    loss, gradient = unwritten(device, (4,), np.float32), unwritten(device, (4, 1), np.float32)
    device.primitives.binary_cross_entropy(
        device, loss, gradient, upload(device, x), upload(device, t), one(device, 1), 1.0, False
    )
    assert device.download(loss).tolist() == [0, 1000, 0, 1000]
    assert device.download(gradient).ravel().tolist() == [0, 1, 0, -1]


def test_totals_add_up(device: Device) -> None:
    totals = upload(device, np.array([1.0, 10, 100, 1000]), "plain")
    loss = upload(device, np.array([1e8, 0.25, 0.5], np.float32))
    ranks = upload(device, np.array([0, 4, 5], np.int32))
    record = device.primitives.record_losses
    record(device, totals, loss, ranks, one(device, 0, np.int32))
    assert device.download(totals).tolist() == [1, 10, 100, 1000]
    record(device, totals, loss, ranks, one(device, 1, np.int32))
    assert device.download(totals).tolist() == [1 + 1e8 + 0.75, 11, 102, 1003]
    record(device, totals, loss, None, one(device, 1, np.int32))
    assert device.download(totals).tolist() == [1 + 2e8 + 1.5, 11, 102, 1006]
