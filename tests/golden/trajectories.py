"""The first losses of small networks, computed with plain loops over single numbers: no array library, no gpunn.

Weights and images follow from a closed form, so anyone can compute these numbers again:

    python -m tests.golden.trajectories

writes the files beside this one. Numbers are float64 throughout. All images of a batch are trained on at every step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import exp, log, sin, sqrt
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

#: Nested lists: a vector, a matrix, images (N, H, W, C), filters (R, S, C, K).
Numbers = Any

IMAGES, HEIGHT, WIDTH, CHANNELS = 3, 7, 6, 2
FILTERS, SIZE, CLASSES = 3, 3, 4
LABELS = [2, 0, 3]
STEPS = 5


def closed_form(count: int, scale: float, phase: float) -> list[float]:
    """scale * sin(phase + 1.7 i) for i from 1: numbers without order that everyone can compute."""
    return [scale * sin(phase + 1.7 * i) for i in range(1, count + 1)]


def pixels() -> Numbers:
    """Images (N, H, W, C)."""
    values = iter(closed_form(IMAGES * HEIGHT * WIDTH * CHANNELS, 1.0, 0.3))
    return [
        [[[next(values) for _ in range(CHANNELS)] for _ in range(WIDTH)] for _ in range(HEIGHT)] for _ in range(IMAGES)
    ]


def sizes() -> dict[str, int]:
    """How many numbers each parameter has: a convolution 3x3 with same padding, pooling 2x2, a linear layer."""
    features = (HEIGHT // 2) * (WIDTH // 2) * FILTERS
    return {
        "conv1.weight": SIZE * SIZE * CHANNELS * FILTERS,
        "conv1.bias": FILTERS,
        "fc2.weight": features * CLASSES,
        "fc2.bias": CLASSES,
    }


def first_weights() -> dict[str, list[float]]:
    """Every parameter as a flat list in its logical order (R, S, C, K; inputs, outputs)."""
    return {name: closed_form(count, 0.4, 0.1 * place) for place, (name, count) in enumerate(sizes().items())}


def loss_and_gradients(weights: dict[str, list[float]]) -> tuple[float, dict[str, list[float]]]:
    """The mean cross-entropy of the batch, and its derivatives: convolution, ReLU, max pooling, linear, softmax."""
    gradients = {name: [0.0] * len(values) for name, values in weights.items()}
    total = 0.0
    for image, label in zip(pixels(), LABELS, strict=True):
        total += one_image(image, label, weights, gradients)
    return total / IMAGES, {name: [g / IMAGES for g in values] for name, values in gradients.items()}


def filter_index(r: int, s: int, c: int, k: int) -> int:
    """The place of a weight in the flat list."""
    return ((r * SIZE + s) * CHANNELS + c) * FILTERS + k


def one_image(image: Numbers, label: int, weights: dict[str, list[float]], gradients: dict[str, list[float]]) -> float:
    """The loss of one image; its derivatives are added to `gradients`."""
    maps: dict[tuple[int, int, int], float] = {}
    for p in range(HEIGHT):
        for q in range(WIDTH):
            for k in range(FILTERS):
                value = weights["conv1.bias"][k]
                for r, s, c, h, w in taps(p, q):
                    value += image[h][w][c] * weights["conv1.weight"][filter_index(r, s, c, k)]
                maps[p, q, k] = max(0.0, value)

    winners: list[tuple[int, int, int]] = []
    for p in range(HEIGHT // 2):
        for q in range(WIDTH // 2):
            for k in range(FILTERS):
                window = [(2 * p + i, 2 * q + j, k) for i in (0, 1) for j in (0, 1)]
                winners.append(max(window, key=lambda place: maps[place]))

    scores = [
        weights["fc2.bias"][j]
        + sum(maps[place] * weights["fc2.weight"][i * CLASSES + j] for i, place in enumerate(winners))
        for j in range(CLASSES)
    ]
    largest = max(scores)
    partition = sum(exp(score - largest) for score in scores)
    slopes = [exp(score - largest) / partition - (j == label) for j, score in enumerate(scores)]

    for j, slope in enumerate(slopes):
        gradients["fc2.bias"][j] += slope
    for i, (p, q, k) in enumerate(winners):
        arriving = 0.0
        for j, slope in enumerate(slopes):
            gradients["fc2.weight"][i * CLASSES + j] += slope * maps[p, q, k]
            arriving += slope * weights["fc2.weight"][i * CLASSES + j]
        if maps[p, q, k] > 0:
            gradients["conv1.bias"][k] += arriving
            for r, s, c, h, w in taps(p, q):
                gradients["conv1.weight"][filter_index(r, s, c, k)] += arriving * image[h][w][c]
    return largest + log(partition) - scores[label]


def taps(p: int, q: int) -> list[tuple[int, int, int, int, int]]:
    """Filter place (r, s, c) and pixel (h, w) of every product of an output that lies in the image."""
    return [
        (r, s, c, p + r - 1, q + s - 1)
        for r in range(SIZE)
        for s in range(SIZE)
        for c in range(CHANNELS)
        if 0 <= p + r - 1 < HEIGHT and 0 <= q + s - 1 < WIDTH
    ]


class Momentum:
    """v = 0.9 v + g + 0.01 w (weights, not biases); w -= 0.1 v."""

    def __init__(self) -> None:
        self.velocity = {name: [0.0] * count for name, count in sizes().items()}

    def __call__(self, weights: dict[str, list[float]], gradients: dict[str, list[float]]) -> None:
        """One step, in place."""
        for name, values in weights.items():
            for i, gradient in enumerate(gradients[name]):
                decayed = gradient + (0.01 * values[i] if name.endswith("weight") else 0.0)
                self.velocity[name][i] = 0.9 * self.velocity[name][i] + decayed
                values[i] -= 0.1 * self.velocity[name][i]


class AdaptiveMoments:
    """Adam with rate 0.05 and the usual settings."""

    def __init__(self) -> None:
        self.first = {name: [0.0] * count for name, count in sizes().items()}
        self.second = {name: [0.0] * count for name, count in sizes().items()}
        self.steps = 0

    def __call__(self, weights: dict[str, list[float]], gradients: dict[str, list[float]]) -> None:
        """One step, in place."""
        self.steps += 1
        for name, values in weights.items():
            for i, gradient in enumerate(gradients[name]):
                self.first[name][i] = 0.9 * self.first[name][i] + 0.1 * gradient
                self.second[name][i] = 0.999 * self.second[name][i] + 0.001 * gradient * gradient
                first = self.first[name][i] / (1 - 0.9**self.steps)
                second = self.second[name][i] / (1 - 0.999**self.steps)
                values[i] -= 0.05 * first / (sqrt(second) + 1e-8)


OPTIMIZERS: dict[str, Callable[[], Callable[[dict[str, list[float]], dict[str, list[float]]], None]]] = {
    "sgd": Momentum,
    "adam": AdaptiveMoments,
}


def trajectory(name: str) -> dict[str, Any]:
    """The loss before each step, and the weights' sum and sum of squares after the last."""
    weights, update = first_weights(), OPTIMIZERS[name]()
    losses = []
    for _ in range(STEPS):
        loss, gradients = loss_and_gradients(weights)
        losses.append(loss)
        update(weights, gradients)
    sums = {part: [sum(values), sum(value * value for value in values)] for part, values in weights.items()}
    return {"losses": losses, "sums": sums}


if __name__ == "__main__":
    for optimizer in OPTIMIZERS:
        (FOLDER / f"{optimizer}.json").write_text(json.dumps(trajectory(optimizer), indent=1) + "\n")
