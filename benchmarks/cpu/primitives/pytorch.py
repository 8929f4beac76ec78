"""PyTorch's calls of each case, in channels_last: the operations that its layers and its autograd run in a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cpu.primitives.cases import DECAY, Case


def their_calls(torch: Any, case: Case) -> list[Callable[[], object]]:
    """What runs the case once; several where PyTorch offers several ways."""
    if case.pooling is not None:
        return [_pooling(torch, case)]
    if case.segments is not None:
        return _optimizers(torch, case)
    if len(case.shape) == 2:
        return [_scores(torch, case)]
    return [_images(torch, case)]


def _random(torch: Any, shape: tuple[int, ...]) -> Any:
    """Images (N, H, W, C) as PyTorch's (N, C, H, W) in channels_last; rows as they are."""
    numbers = torch.from_numpy(np.random.default_rng(0).standard_normal(shape, np.float32))
    return numbers.permute(0, 3, 1, 2) if len(shape) == 4 else numbers


def _pooling(torch: Any, case: Case) -> Callable[[], object]:
    geometry, aten = case.pooling, torch.ops.aten
    assert geometry is not None
    x = _random(torch, geometry.input_shape)
    window, stride = (geometry.R, geometry.S), tuple(geometry.stride)
    padding = (geometry.padding.top, geometry.padding.left)
    windows = (window, stride, padding, (1, 1), geometry.ceil_mode)
    y, places = aten.max_pool2d_with_indices(x, *windows)
    settings = (window, stride, padding, geometry.ceil_mode, False, None)
    calls: dict[str, Callable[[], object]] = {
        "max pool forward": lambda: aten.max_pool2d_with_indices(x, *windows),
        "max pool inference": lambda: torch.nn.functional.max_pool2d(x, *windows),
        "max pool backward": lambda: aten.max_pool2d_with_indices_backward(y, x, *windows, places),
        "mean pool forward": lambda: aten.avg_pool2d(x, *settings),
        "mean pool backward": lambda: aten.avg_pool2d_backward(y, x, *settings),
    }
    return calls[case.operation]


def _images(torch: Any, case: Case) -> Callable[[], object]:
    functional, aten = torch.nn.functional, torch.ops.aten
    x, gy = _random(torch, case.shape), _random(torch, case.shape)
    C = case.shape[-1]
    gamma, beta, mean, variance = (torch.ones(C) for _ in range(4))
    _, saved_mean, saved_inverse = aten.native_batch_norm(x, gamma, beta, mean, variance, True, 0.1, 1e-5)
    if case.operation == "local response backward":
        leaf = x.clone().requires_grad_(True)
        y = _local_response(functional, leaf)
        return lambda: torch.autograd.grad(y, leaf, gy, retain_graph=True)
    calls: dict[str, Callable[[], object]] = {
        "batch norm + relu forward": lambda: torch.relu_(
            aten.native_batch_norm(x, gamma, beta, mean, variance, True, 0.1, 1e-5)[0]
        ),
        "batch norm + relu inference": lambda: torch.relu_(functional.batch_norm(x, mean, variance, gamma, beta)),
        "batch norm backward": lambda: aten.native_batch_norm_backward(
            gy, x, gamma, mean, variance, saved_mean, saved_inverse, True, 1e-5, [True, True, True]
        ),
        "relu forward": lambda: torch.relu(x),
        "relu backward": lambda: aten.threshold_backward(gy, x, 0),
        "local response forward": lambda: _local_response(functional, x),
    }
    return calls[case.operation]


def _local_response(functional: Any, x: Any) -> Any:
    # PyTorch's alpha multiplies the mean over the window.
    return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


def _scores(torch: Any, case: Case) -> Callable[[], object]:
    functional, (N, K) = torch.nn.functional, case.shape
    logits = _random(torch, case.shape)
    if case.operation == "softmax":
        return lambda: torch.softmax(logits, 1)
    labels, leaf = torch.arange(N) % K, logits.requires_grad_(True)
    return lambda: torch.autograd.grad(functional.cross_entropy(leaf, labels), leaf)


def _optimizers(torch: Any, case: Case) -> list[Callable[[], object]]:
    assert case.segments is not None
    kind = torch.optim.Adam if case.operation == "adam" else torch.optim.SGD
    settings: dict[str, Any] = {"lr": 1e-9}
    if kind is torch.optim.SGD:
        settings |= {"momentum": 0.9, "weight_decay": DECAY if "decay" in case.operation else 0.0}
    weights = [torch.rand(segment.shape, requires_grad=True) for segment in case.segments]
    for weight in weights:
        weight.grad = torch.rand_like(weight)
    return [kind(weights, **settings, **way).step for way in ({"fused": True}, {"foreach": True})]
