"""Losses, gradients and ranks against loops; stability far from zero; totals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Host, integers, unwritten, upload, upload_slice
from tests.backend.emulator.devices import EVERY_WAY, FAST, emulator
from tests.backend.rounding import computing, rounding, smallest_step
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
    stored: Any = None,
) -> tuple[Host, Host, Host]:
    """Loss, gradient (in the type `stored`) and ranks; it is added to `before` where that is given."""
    N = len(scores)
    loss, ranks = unwritten(device, (N,), scores.dtype), unwritten(device, (N,), np.int32)
    kind = scores.dtype if stored is None else stored
    gradient = unwritten(device, scores.shape, kind) if before is None else upload_slice(device, before)
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
    device: Device, scores: Host, targets: Host, smoothing: float = 0.0, before: Host | None = None, stored: Any = None
) -> tuple[Host, Host, Host]:
    N = len(scores)
    loss, ranks = unwritten(device, (N,), scores.dtype), unwritten(device, (N,), np.int32)
    kind = scores.dtype if stored is None else stored
    gradient = unwritten(device, scores.shape, kind) if before is None else upload_slice(device, before)
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


@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_gradient_of_a_narrower_type_is_rounded_once(device: Device, smoothing: float, dtype: Any) -> None:
    scores, labels = some_scores((7, 12), np.float32), some_labels(7, 12)
    before, targets = some_scores((7, 12), dtype, 1), some_targets((7, 12), np.float32)
    one_hot = [reference.one_hot(label, 12) for label in labels]
    for run, wanted, rows in ((hard, labels, one_hot), (soft, targets, targets.astype(np.float64).tolist())):
        losses = run(device, scores, wanted, smoothing)[0]
        expected = (
            WEIGHT
            * LOSS_SCALE
            * np.array(
                [
                    reference.cross_entropy_gradient(row, reference.smoothed(target, smoothing))
                    for row, target in zip(scores.astype(np.float64).tolist(), rows, strict=True)
                ]
            )
        )
        for start in (None, before):
            loss, gradient, _ = run(device, scores, wanted, smoothing, start, stored=dtype)
            assert gradient.dtype == dtype
            assert np.array_equal(loss, losses)
            total = expected + (0 if start is None else start.astype(np.float64))
            bound = rounding(dtype) * np.abs(total) + 50 * computing(dtype) * WEIGHT * LOSS_SCALE + smallest_step(dtype)
            assert (np.abs(gradient.astype(np.float64) - total) <= bound).all()


def test_as_many_classes_as_vocabularies_have(device: Device) -> None:
    scores, labels = some_scores((2, 100_000), np.float32), np.array([99_999, 17], np.int32)
    loss, gradient, ranks = hard(device, scores, labels, weight=1, loss_scale=1)
    wide = scores.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loss, -np.log(expected[[0, 1], labels]), rtol=1e-5)
    assert ranks.tolist() == [(scores[n] > scores[n, labels[n]]).sum() for n in range(2)]
    expected[[0, 1], labels] -= 1
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_a_gradient_beside_infinite_and_missing_scores(device: Device) -> None:
    """A class that scores -infinity is never drawn; a NaN or +infinity spoils its row and no other."""
    scores = np.array([[0, -np.inf, 0], [0, np.nan, 0], [np.inf, 0, 0], [-np.inf, 0, 0]], np.float32)
    loss, gradient, ranks = hard(device, scores, np.zeros(4, np.int32), weight=1, loss_scale=1)
    np.testing.assert_allclose(loss[0], np.log(2), rtol=1e-6)
    assert gradient[0].tolist() == [-0.5, 0, 0.5]
    assert np.isnan(loss[1:3]).all()
    assert np.isnan(gradient[1:3]).all()
    assert loss[3] == np.inf
    assert gradient[3].tolist() == [-1, 0.5, 0.5]
    assert ranks.tolist() == [0, 1, 0, 2]


def test_gradients_are_differences_of_the_loss(cpu: Device) -> None:
    scores, labels, targets = some_scores((5, 7)), some_labels(5, 7), some_targets((5, 7))
    width = 1e-6
    for run, wanted in ((hard, labels), (soft, targets)):
        gradient = run(cpu, scores, wanted, 0.1)[1] / (WEIGHT * LOSS_SCALE)
        for k in range(7):
            move = np.zeros((5, 7))
            move[:, k] = width
            difference = run(cpu, scores + move, wanted, 0.1)[0] - run(cpu, scores - move, wanted, 0.1)[0]
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


def test_a_row_of_targets_that_are_nan_spoils_its_loss_and_no_other(device: Device) -> None:
    targets = np.array([[np.nan] * 3, [0, 1, 0]], np.float32)
    loss, gradient, ranks = soft(device, np.array([[1, 3, 2], [0, 0, 0]], np.float32), targets)
    assert np.isnan(loss[0])
    assert np.isnan(gradient[0]).all()
    np.testing.assert_allclose(loss[1], np.log(3), rtol=1e-6)
    assert ranks.tolist() == [2, 1]


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


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_a_uniform_guess_costs_the_logarithm_of_the_classes(device: Device, dtype: Any) -> None:
    loss = hard(device, np.zeros((3, 10), dtype), some_labels(3, 10))[0]
    np.testing.assert_allclose(loss, np.log(10), rtol=4 * computing(dtype))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_losses_without_a_gradient(device: Device, dtype: Any) -> None:
    scores, labels, targets = some_scores((4, 5), dtype), some_labels(4, 5), some_targets((4, 5), dtype)
    unit = computing(dtype)
    x, t, scale = upload(device, scores), upload(device, targets), one(device, 1)
    loss, ranks = unwritten(device, (4,), dtype), unwritten(device, (4,), np.int32)
    primitives = device.primitives
    primitives.softmax_cross_entropy(device, loss, None, ranks, x, upload(device, labels), scale, 0.0, 1.0, False)
    np.testing.assert_allclose(device.download(loss), hard(device, scores, labels)[0])
    primitives.softmax_cross_entropy_soft(device, loss, None, ranks, x, t, scale, 0.0, 1.0, False)
    np.testing.assert_allclose(device.download(loss), soft(device, scores, targets)[0])
    primitives.binary_cross_entropy(device, loss, None, x, t, scale, 1.0, False)
    rows = list(zip(scores.astype(np.float64), targets.astype(np.float64), strict=True))
    expected = [reference.binary_cross_entropy(*row) for row in rows]
    np.testing.assert_allclose(device.download(loss), expected, rtol=50 * unit)
    primitives.squared_error(device, loss, None, x, t, scale, 0.5, 1.0, False)
    expected = [reference.squared_error(*row, 0.5) for row in rows]
    np.testing.assert_allclose(device.download(loss), expected, rtol=50 * unit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (7, 4), (3, 4, 5, 2), (2, 1, 9, 5), (2, 9, 11, 13)], ids=str)
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


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, BFLOAT16, FLOAT16], ids=str)
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 2, 8)], ids=str)
def test_squared_error_of_small_integers_is_exact(device: Device, shape: tuple[int, ...], dtype: Any) -> None:
    """The gradient has any type, the rest the one in which losses are computed."""
    wide = FLOAT64 if dtype == FLOAT64 else FLOAT32
    x, t = integers(1, shape, wide), integers(2, shape, wide)
    before = integers(3, shape, dtype)
    for place in (upload, upload_slice) if len(shape) > 1 else (upload,):
        loss, gradient = unwritten(device, shape[:1], wide), place(device, before)
        device.primitives.squared_error(
            device, loss, gradient, place(device, x), place(device, t), one(device, 2), 0.5, 1.5, True
        )
        losses = [0.5 * ((x[n] - t[n]) ** 2).sum() for n in range(len(x))]
        assert device.download(loss).tolist() == losses
        assert np.array_equal(device.download(gradient), before.astype(wide) + 3 * (x - t))


@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=str)
def test_binary_cross_entropy_with_a_gradient_of_a_narrower_type(device: Device, dtype: Any) -> None:
    x, t = some_scores((4, 9), np.float32), np.random.default_rng(2).random((4, 9)).astype(np.float32)
    loss, gradient = unwritten(device, (4,), np.float32), unwritten(device, (4, 9), dtype)
    arrays = upload(device, x), upload(device, t), one(device, LOSS_SCALE)
    device.primitives.binary_cross_entropy(device, loss, gradient, *arrays, WEIGHT, False)
    rows = zip(x.astype(np.float64), t.astype(np.float64), strict=True)
    expected = WEIGHT * LOSS_SCALE * np.array([reference.binary_cross_entropy_gradient(*row) for row in rows])
    bound = rounding(dtype) * np.abs(expected) + 20 * computing(dtype) * WEIGHT * LOSS_SCALE
    assert (np.abs(device.download(gradient).astype(np.float64) - expected) <= bound).all()


def test_binary_cross_entropy_far_from_zero(device: Device) -> None:
    """A loss of exp(-20) is still there, though 1 + exp(-20) is 1."""
    x = np.array([[1000], [1000], [-1000], [-1000], [-20]], np.float32)
    t = np.array([[1], [0], [0], [1], [0]], np.float32)
    loss, gradient = unwritten(device, (5,), np.float32), unwritten(device, (5, 1), np.float32)
    device.primitives.binary_cross_entropy(
        device, loss, gradient, upload(device, x), upload(device, t), one(device, 1), 1.0, False
    )
    assert device.download(loss)[:4].tolist() == [0, 1000, 0, 1000]
    assert device.download(gradient).ravel()[:4].tolist() == [0, 1, 0, -1]
    np.testing.assert_allclose(device.download(loss)[4], np.exp(-20), rtol=1e-6)
    np.testing.assert_allclose(device.download(gradient)[4], np.exp(-20), rtol=1e-6)


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


def test_totals_of_more_images_than_a_block_has_threads(device: Device) -> None:
    rng = np.random.default_rng(6)
    loss, ranks = rng.random(9001).astype(np.float32), rng.integers(0, 10, 9001).astype(np.int32)
    totals = upload(device, np.zeros(4), "plain")
    device.primitives.record_losses(
        device, totals, upload(device, loss), upload(device, ranks), one(device, 1, np.int32)
    )
    found = device.download(totals)
    np.testing.assert_allclose(found[0], loss.astype(np.float64).sum(), rtol=1e-13)
    assert found[1:].tolist() == [(ranks == 0).sum(), (ranks < 5).sum(), 9001]


def test_the_order_in_which_threads_run_changes_no_bit() -> None:
    scores, labels, targets = some_scores((3, 700), np.float32), some_labels(3, 700), some_targets((3, 700), np.float32)
    results = set()
    for settings in EVERY_WAY.values():
        with emulator(settings) as device:
            loss, totals = unwritten(device, (3,), np.float32), upload(device, np.zeros(4), "plain")
            x, t, scale = upload(device, scores), upload(device, targets), one(device, 1)
            device.primitives.binary_cross_entropy(device, loss, None, x, t, scale, 1.0, False)
            device.primitives.record_losses(device, totals, x.reshape(-1), None, one(device, 1, np.int32))
            found = *hard(device, scores, labels, 0.1), *soft(device, scores, targets, 0.1), loss, totals
            results.add(b"".join(device.download(array).tobytes() for array in found))
    assert len(results) == 1


def test_shapes_that_do_not_fit_are_refused() -> None:
    with emulator(FAST) as device:
        primitives = device.primitives
        x, row = upload(device, np.zeros((2, 3), np.float32)), upload(device, np.zeros(2, np.float32))
        ranks, scale = upload(device, np.zeros(2, np.int32)), one(device, 1)
        with pytest.raises(UsageError, match=r"labels has shape \(1,\); logits \(2, 3\) want \(2,\)"):
            primitives.softmax_cross_entropy(device, row, None, ranks, x, ranks[:1], scale, 0.0, 1.0, False)
        with pytest.raises(UsageError, match=r"logits has shape \(2,\); it must be \(N, K\)"):
            primitives.softmax_cross_entropy(device, row, None, ranks, row, ranks, scale, 0.0, 1.0, False)
        with pytest.raises(UsageError, match=r"one shape, got logits \(2, 3\), targets \(2, 2\)"):
            primitives.softmax_cross_entropy_soft(device, row, None, ranks, x, x[:, :2], scale, 0.0, 1.0, False)
        with pytest.raises(UsageError, match=r"squared_error: .* targets \(2, 2\)"):
            primitives.squared_error(device, row, None, x, x[:, :2], scale, 0.5, 1.0, False)
        with pytest.raises(UsageError, match=r"loss has shape \(1,\); it holds one number for each of 2 images"):
            primitives.binary_cross_entropy(device, row[:1], None, x, x, scale, 1.0, False)
        with pytest.raises(UsageError, match=r"totals has shape \(2,\); it holds 4 numbers"):
            primitives.record_losses(device, row, row, ranks, ranks)
