"""Floors against figures that were reckoned by hand, from geometry written down here."""

from __future__ import annotations

import pytest

from tests.explaining.steps import call_of, on_gpu

#: Reckoned on paper for an H100 with products of 798 TFLOP/s in bfloat16, 417 in tf32 and 47 in float32, and copies of
#: 3.0 TB/s: SGD with momentum, pictures of uint8, every epilogue fused, kernels one after another.
#: Network, batch, precision: milliseconds.
PAPER = {
    ("alexnet", 128, "bfloat16"): 1.35,
    ("alexnet", 256, "bfloat16"): 2.10,
    ("vgg16", 128, "bfloat16"): 18.3,
    ("vgg16", 256, "bfloat16"): 35.3,
    ("alexnet", 128, "tf32"): 2.08,
    ("alexnet", 256, "tf32"): 3.51,
    ("vgg16", 128, "tf32"): 34.0,
    ("vgg16", 256, "tf32"): 66.6,
    ("alexnet", 128, "float32"): 11.9,
    ("alexnet", 256, "float32"): 23.4,
    ("vgg16", 128, "float32"): 256.0,
    ("vgg16", 256, "float32"): 512.0,
}
#: What is left out on paper, such as biases, is less than a hundredth.
TOLERANCE = 0.01

PRODUCT, COPY = 798e12, 3.0e12
BATCH = 128
#: AlexNet's convolutions: input rows and channels, filter rows, output rows and channels.
CONVOLUTIONS = {
    "conv1": (224, 3, 11, 55, 64),
    "conv2": (27, 64, 5, 27, 192),
    "conv3": (13, 192, 3, 13, 384),
    "conv4": (13, 384, 3, 13, 256),
    "conv5": (13, 256, 3, 13, 256),
}
LINEAR = {"fc6": (9216, 4096), "fc7": (4096, 4096)}
#: Rows before, rows after, channels.
POOLINGS = {"pool1": (55, 27, 64), "pool2": (27, 13, 192), "pool5": (13, 6, 256)}
#: Bytes of a number.
NARROW, WIDE = 2, 4


@pytest.mark.parametrize(("name", "batch", "precision"), PAPER)
def test_the_floor_of_a_step(name: str, batch: int, precision: str) -> None:
    explanation = on_gpu(name, batch, precision)
    assert explanation.floor_ms == pytest.approx(PAPER[name, batch, precision], rel=TOLERANCE)
    assert explanation.images_per_second == pytest.approx(1000 * batch / explanation.floor_ms)
    assert sum(call.floor_ms for call in explanation.calls) == pytest.approx(explanation.floor_ms)


@pytest.mark.parametrize(("precision", "bytes_each", "paper"), [("bfloat16", 2, 1.58), ("tf32", 4, 2.54)])
def test_two_groups_differ_by_what_local_response_norm_keeps(precision: str, bytes_each: int, paper: float) -> None:
    """On paper it takes two arrays forward and three backward, ReLU's derivative among them. Here it also writes and
    reads its denominators, reads its output, and leaves the derivative to a call of its own: six arrays more."""
    elements = BATCH * (55 * 55 * 96 + 27 * 27 * 256)
    more = 1000 * 6 * elements * bytes_each / COPY
    assert on_gpu("alexnet-2group", BATCH, precision).floor_ms - more == pytest.approx(paper, rel=TOLERANCE)


def floor_ms(flops: float, transferred: float) -> float:
    return 1000 * max(flops / PRODUCT, transferred / COPY)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_convolutions_of_alexnet(layer: str) -> None:
    """Forward and backward-filter: two operations for each weight at each output, x, y, weights and biases once.
    Weights are narrow copies, biases and gradients of weights are wide."""
    explanation = on_gpu("alexnet", BATCH, "bfloat16")
    rows_in, channels, taps, rows_out, filters = CONVOLUTIONS[layer]
    weights = taps * taps * channels * filters
    flops = 2 * BATCH * rows_out * rows_out * weights
    x, y = BATCH * rows_in**2 * channels, BATCH * rows_out**2 * filters
    forward = call_of(explanation, layer, "convolution2d_forward")
    assert forward.flops == flops
    assert forward.bytes == NARROW * (x + y + weights) + WIDE * filters
    assert forward.floor_ms == pytest.approx(floor_ms(flops, forward.bytes))
    backward = call_of(explanation, layer, "convolution2d_backward_filter")
    assert backward.flops == flops
    assert backward.bytes == NARROW * (x + y) + WIDE * (weights + filters)
    assert backward.floor_ms == pytest.approx(floor_ms(flops, backward.bytes))


@pytest.mark.parametrize("layer", ["conv2", "conv3", "conv4", "conv5"])
def test_backward_data_of_alexnet(layer: str) -> None:
    """It reads x, too, of which ReLU's derivative is taken, behind a pooling as well."""
    rows_in, channels, taps, rows_out, filters = CONVOLUTIONS[layer]
    weights = taps * taps * channels * filters
    x, y = BATCH * rows_in**2 * channels, BATCH * rows_out**2 * filters
    found = call_of(on_gpu("alexnet", BATCH, "bfloat16"), layer, "convolution2d_backward_data")
    assert found.flops == 2 * BATCH * rows_out**2 * weights
    assert found.bytes == NARROW * (x + y + weights + x)


@pytest.mark.parametrize("layer", LINEAR)
def test_fully_connected_layers_are_bound_by_their_weights(layer: str) -> None:
    explanation = on_gpu("alexnet", BATCH, "bfloat16")
    inputs, outputs = LINEAR[layer]
    forward = call_of(explanation, layer, "linear_forward")
    assert forward.flops == 2 * BATCH * inputs * outputs
    assert forward.bytes == NARROW * (BATCH * (inputs + outputs) + inputs * outputs) + WIDE * outputs
    assert forward.floor_ms == forward.copy_ms > forward.product_ms


@pytest.mark.parametrize("layer", POOLINGS)
def test_poolings_keep_the_place_of_the_maximum_in_a_byte(layer: str) -> None:
    explanation = on_gpu("alexnet", BATCH, "bfloat16")
    before, after, channels = POOLINGS[layer]
    transferred = BATCH * channels * (NARROW * before**2 + (NARROW + 1) * after**2)
    for primitive in ("maximum_pool2d_forward", "maximum_pool2d_backward"):
        assert call_of(explanation, layer, primitive).bytes == transferred


def test_pictures_are_bytes() -> None:
    found = call_of(on_gpu("alexnet", BATCH, "bfloat16"), "image", "normalize_images")
    small = BATCH * 3 * 4 + 2 * 3 * 8
    assert found.bytes == BATCH * 224 * 224 * 3 * (1 + NARROW) + small


def test_training_flops() -> None:
    """Of one image: 4.14 and 92.65 G, two for each multiply-add."""
    for name, billions in (("alexnet", 4.14), ("vgg16", 92.65)):
        explanation = on_gpu(name, BATCH, "bfloat16")
        assert sum(call.flops for call in explanation.calls) / BATCH / 1e9 == pytest.approx(billions, rel=2e-3)
